"""The section `[notify]` of the configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from ops.errors import ConfigurationError
from ops.section import Section

if TYPE_CHECKING:
    from publish.notify import Webhook


class NotifySettings(Section):
    """Who is told when a lead time or a run is published; nobody unless `url` is set."""

    url: SecretStr | None = Field(default=None, description="Address of a webhook that takes the notices, by POST.")
    secret: SecretStr | None = Field(default=None, description="Secret that notices are signed with (HMAC-SHA256).")
    secret_file: Path | None = Field(default=None, description="File that holds the secret, instead of `secret`.")
    topic: str = Field(default="sigmacast", min_length=1, description="TopicArn of the notices.")
    seconds: float = Field(
        default=30.0, gt=0, description="How long the delivery of a notice, and the end of a run, may take [s]."
    )

    def webhook(self) -> "Webhook | None":
        """Where notices go, None for nowhere. Raises ConfigurationError."""
        if self.url is None:
            return None
        from publish.notify import Webhook

        try:
            return Webhook(self.url.get_secret_value(), self._secret(), self.seconds)
        except ValueError as error:
            raise ConfigurationError(f"notify.url: {error}") from None

    def _secret(self) -> str | None:
        if self.secret is not None and self.secret_file is not None:
            raise ConfigurationError("expected notify.secret or notify.secret_file, got both")
        if self.secret_file is None:
            return self.secret.get_secret_value() if self.secret is not None else None
        try:
            text = self.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"notify.secret_file: {self.secret_file} cannot be read: {error}") from None
        if not text:
            raise ConfigurationError(f"notify.secret_file: expected a secret in {self.secret_file}, found nothing")
        return text
