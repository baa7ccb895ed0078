"""`sigmacast doctor`: what is wrong on this machine, and how to mend it."""

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, say
from ops.errors import ExitCode


def doctor(json: AsJson = False, config: ConfigFile = None) -> None:
    """Check everything that a run needs; exit with 1 when something is wrong."""
    from ops.config import resolve
    from ops.doctor import examine

    settings_from(config)
    findings = list(examine(resolve(config)))
    if json:
        as_json(findings)
    else:
        for finding in findings:
            say(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.subject}: {finding.found}")
            if remedy := finding.advice if finding.ok else finding.mend:
                say(f"       {remedy}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(ExitCode.FAILED)
