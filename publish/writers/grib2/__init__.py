"""GRIB edition 2: one file per lead time for the control, the members, and each of their statistics.

A message's sections that say what it is are written by us, octet by octet, from the tables of WMO-No. 306,
volume I.2; ecCodes packs the values, and reads every message back before it counts.
"""

from publish.writers.grib2.message import packing_tolerance
from publish.writers.grib2.reading import read_field
from publish.writers.grib2.writer import MEDIA_TYPE, Grib2Writer, NativeGrib2Writer

__all__ = ["MEDIA_TYPE", "Grib2Writer", "NativeGrib2Writer", "packing_tolerance", "read_field"]
