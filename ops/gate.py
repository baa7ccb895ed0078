"""The quality gate of a run: what was found is logged, and kept with the run, before it may refuse the analysis."""

from datetime import datetime

import xarray as xr
from sqlalchemy.orm import Session

from db import runs
from ingest.analysis import Analysis
from ingest.quality import Report, examine
from ops import log
from ops.quality_settings import QualitySettings


def examined(analysis: Analysis, settings: QualitySettings, previous: xr.Dataset | None = None) -> Report | None:
    """What is beyond the limits, told in the log; None when nobody is to look."""
    if settings.mode == "off":
        return None
    report = examine(analysis, settings.limits, previous)
    for finding in report.findings:
        log.get().warning("quality of the analysis", severity=finding.severity, finding=str(finding))
    return report


def record(session: Session, run_id: str, report: Report, now: datetime) -> None:
    """Keep findings as an event of the run."""
    if report.findings:
        runs.tell(session, run_id, now, "quality", str(report))
