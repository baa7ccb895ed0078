"""`sigmacast doctor`: what is wrong on this machine, and how to mend it."""

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, say
from ops.errors import ExitCode


def doctor(json: AsJson = False, config: ConfigFile = None) -> None:
    """Check software, device, database, store, models and disk; exit with 1 when something is wrong."""
    from ops.doctor import examine

    findings = list(examine(settings_from(config)))
    if json:
        as_json(findings)
    else:
        for finding in findings:
            say(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.subject}: {finding.found}")
            if not finding.ok:
                say(f"       {finding.mend}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(ExitCode.FAILED)
