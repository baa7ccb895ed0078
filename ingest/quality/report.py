"""What the quality gate found: severity, variable, level, place, value and limit of each finding."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from ingest.errors import Implausible
from ingest.limits import Limit, Mode

Severity = Literal["warn", "block"]


@dataclass(frozen=True)
class Finding:
    """One measure beyond its limit, where it is worst; without a place it is the whole level, or the globe.

    `measure` is what the limit holds for, `text` says it in the variable's units.
    """

    severity: Severity
    check: str
    variable: str
    level: int | None
    latitude: float | None
    longitude: float | None
    measure: float
    limit: Limit
    text: str

    def __str__(self) -> str:
        level = "" if self.level is None else f" at {self.level} hPa"
        return f"{self.variable}{level}: {self.text} [{self.check}]"


@dataclass(frozen=True)
class Report:
    """All findings, the gravest first."""

    findings: tuple[Finding, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that keep an analysis from the model."""
        return tuple(finding for finding in self.findings if finding.severity == "block")

    @property
    def document(self) -> dict[str, Any]:
        """The report as JSON types."""
        findings = [
            asdict(one) | {"limit": {"warn": one.limit.warn, "block": one.limit.block}} for one in self.findings
        ]
        warnings = len(self.findings) - len(self.blocking)
        return {"blocking": len(self.blocking), "warnings": warnings, "findings": findings}

    def __str__(self) -> str:
        if not self.findings:
            return "no findings"
        return "\n".join(f"{finding.severity}: {finding}" for finding in self.findings)

    def require(self, mode: Mode = "block") -> None:
        """Raises Implausible with the gravest findings when one blocks and the mode is to block."""
        if mode != "block" or not self.blocking:
            return
        shown, rest = self.blocking[:_SHOWN], len(self.blocking) - _SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise Implausible(
            f"the analysis is not plausible: {'; '.join(map(str, shown))}{more}; use another source, or see "
            "docs/quality.md for the limits"
        )


_SHOWN = 5


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def report_of(findings: Iterable[Finding]) -> Report:
    """A report, sorted."""
    return Report(tuple(sorted(findings, key=_gravity)))


def _gravity(finding: Finding) -> tuple[Any, ...]:
    excess = finding.measure / finding.limit.block if finding.limit.block else float("inf")
    return finding.severity != "block", -excess, finding.variable, finding.level or 0, finding.check
