"""The section `[notify]` of the configuration."""

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
    topic: str = Field(default="sigmacast", min_length=1, description="TopicArn of the notices.")
    seconds: float = Field(
        default=30.0, gt=0, description="How long the delivery of a notice, and the end of a run, may take [s]."
    )

    def webhook(self) -> "Webhook | None":
        """Where notices go, None for nowhere. Raises ConfigurationError."""
        if self.url is None:
            return None
        from publish.notify import Webhook

        secret = self.secret.get_secret_value() if self.secret is not None else None
        try:
            return Webhook(self.url.get_secret_value(), secret, self.seconds)
        except ValueError as error:
            raise ConfigurationError(f"notify.url: {error}") from None
