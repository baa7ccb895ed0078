"""From frames to products that others read: derived fields, statistics, files, stores, manifest, charts.

A `publisher.Publisher` takes the frames of one run in any order of lead times and leaves, in a store,
GRIB2 and NetCDF files per lead time, charts, and last of all the manifest that makes the run visible.
"""
