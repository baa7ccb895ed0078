"""Ways to reach people: a signed webhook, electronic mail, a command. Each delivers one message or raises NotDelivered.

No address with a token in it, no password and no secret is in any error.
"""

import json
import os
import signal
import smtplib
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any, Protocol

from ops.alert_settings import AlertSettings
from ops.config import PREFIX
from ops.errors import ConfigurationError
from publish.notify import NotDelivered, Notice, Webhook


@dataclass(frozen=True)
class Message:
    """What is told: `name` tells it apart from all others, `facts` is plain JSON."""

    name: str
    title: str
    text: str
    facts: Mapping[str, Any]
    at: datetime


class Channel(Protocol):
    """One way to reach people."""

    name: str

    def deliver(self, message: Message) -> None:
        """Tell it within the seconds configured. Raises NotDelivered when nobody took it."""
        ...


class WebhookChannel:
    """Posts the facts in the shape of Amazon SNS, signed as notices of products are."""

    name = "webhook"

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    def deliver(self, message: Message) -> None:
        """Post it. Raises NotDelivered."""
        self._webhook.deliver(Notice("sigmacast-alerts", message.name, message.title, message.facts, message.at))


class MailChannel:
    """Sends a mail by SMTP, encrypted unless the settings say otherwise; the server's certificate is verified."""

    name = "mail"

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings

    def deliver(self, message: Message) -> None:
        """Send it. Raises NotDelivered."""
        try:
            with self._connected() as server:
                if self._settings.mail_user is not None:
                    password = self._settings.mail_password
                    server.login(self._settings.mail_user, password.get_secret_value() if password else "")
                server.send_message(self._mail(message))
        except (OSError, smtplib.SMTPException) as error:
            code = getattr(error, "smtp_code", None)
            answer = f"{type(error).__name__}{f' {code}' if code else ''}"
            raise NotDelivered(f"the mail server {self._settings.mail_host} did not take a mail: {answer}") from None

    def _connected(self) -> smtplib.SMTP:
        wanted = self._settings
        place, patience = (wanted.mail_host, wanted.mail_port), wanted.seconds
        if wanted.mail_security == "tls":
            return smtplib.SMTP_SSL(*place, timeout=patience, context=ssl.create_default_context())
        server = smtplib.SMTP(*place, timeout=patience)
        if wanted.mail_security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = message.title
        mail["From"] = self._settings.mail_from
        mail["To"] = ", ".join(self._settings.mail_to)
        mail["Date"] = message.at
        mail["Message-ID"] = f"<{message.name.replace('/', '.')}.{message.at:%Y%m%d%H%M%S%f}@sigmacast>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail


class CommandChannel:
    """Calls a program with fixed arguments and the facts as JSON on its standard input.

    It gets none of our own settings in its environment, and is killed with all that it started when its time is over.
    """

    name = "command"

    def __init__(self, command: tuple[str, ...], seconds: float) -> None:
        self._command = command
        self._seconds = seconds

    def deliver(self, message: Message) -> None:
        """Call it; it must exit with 0. Raises NotDelivered."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise NotDelivered(f"the command {self._command[0]} cannot be called: {error.strerror}") from None
        facts = json.dumps({"title": message.title, "text": message.text, **message.facts})
        try:
            process.communicate(facts.encode(), timeout=self._seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise NotDelivered(f"the command {self._command[0]} took more than {self._seconds:g} s") from None
        if process.returncode != 0:
            raise NotDelivered(f"the command {self._command[0]} exited with {process.returncode}")


def channels(settings: AlertSettings) -> list[Channel]:
    """The ways that are configured. Raises ConfigurationError for one that is wrong."""
    found: list[Channel] = []
    if settings.webhook_url is not None:
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
        try:
            webhook = Webhook(settings.webhook_url.get_secret_value(), secret, settings.seconds)
        except ValueError as error:
            raise ConfigurationError(f"alerts.webhook_url: {error}") from None
        found.append(WebhookChannel(webhook))
    if settings.mail_to:
        found.append(MailChannel(settings))
    if settings.command:
        found.append(CommandChannel(settings.command, settings.seconds))
    return found
