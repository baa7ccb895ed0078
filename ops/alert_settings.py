"""The section `[alerts]` of the configuration."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from ops.manual import page
from ops.section import Section


def _hours_of_cycles(objectives: dict[str, float]) -> dict[str, float]:
    for hour, hours in objectives.items():
        if not (hour.isdecimal() and len(hour) == 2 and int(hour) < 24 and hours > 0):
            raise ValueError(f'expected hours of cycles and positive numbers, such as "06" = 9, got "{hour}" = {hours}')
    return objectives


class AlertSettings(Section):
    """When people are told that something is wrong, and who: nobody unless a webhook, a mail or a command is set."""

    objective_hours: float = Field(
        default=12.0, gt=0, description="A forecast is late when it is not published so long after its cycle [h]."
    )
    objectives: Annotated[dict[str, float], AfterValidator(_hours_of_cycles)] = Field(
        default={}, description='As objective_hours, for cycles by their hour, such as "06", which go before it.'
    )
    feed_margin_hours: float = Field(
        default=1.0, ge=0, description="A feed is late so long after nine in ten of its cycles were there [h]."
    )
    disk_free_gib: float = Field(
        default=5.0, ge=0, description="Less free space than this where files are kept is an alert [GiB]."
    )
    webhook_url: SecretStr | None = Field(default=None, description="Address of a webhook that takes alerts, by POST.")
    webhook_secret: SecretStr | None = Field(default=None, description="Secret that alerts are signed with.")
    mail_to: tuple[str, ...] = Field(default=(), description="Addresses that alerts are mailed to.")
    mail_from: str = Field(default="sigmacast@localhost", min_length=3, description="Sender of the mails.")
    mail_host: str = Field(default="localhost", min_length=1, description="Mail server (SMTP).")
    mail_port: int = Field(default=587, ge=1, le=65535, description="Port of the mail server.")
    mail_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls, tls from the first octet, or none, on the own machine only."
    )
    mail_user: str | None = Field(default=None, description="User at the mail server; unset: no login.")
    mail_password: SecretStr | None = Field(default=None, description="Password at the mail server.")
    command: tuple[str, ...] = Field(
        default=(), description="Program and arguments that are called for each alert, which it reads as JSON."
    )
    seconds: float = Field(default=15.0, gt=0, description="How long the delivery of an alert may take [s].")
    runbook_url: str | None = Field(
        default=None,
        description="Where people find the runbook, as alerts link to it; unset: its path on the machine that alerts.",
    )
    ping_url: SecretStr | None = Field(
        default=None, description="Address of a dead man's switch that is called while all is well."
    )
    ping_method: Literal["GET", "POST"] = Field(default="GET", description="How it is called: GET or POST.")
    ping_seconds: float = Field(default=60.0, gt=0, description="Time between its calls [s].")

    def objective(self, cycle: datetime) -> timedelta:
        """How long after its cycle a forecast is to be published."""
        return timedelta(hours=self.objectives.get(f"{cycle:%H}", self.objective_hours))

    @property
    def runbook_page(self) -> str:
        """Where people find the runbook."""
        return self.runbook_url or page("runbook.md")

    def runbook(self, kind: str) -> str:
        """Where it stands what to do about an alert of this kind."""
        return f"{self.runbook_page}#{kind}"
