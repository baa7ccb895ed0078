"""Settings of where products are published, what vouches for them, and how long they are kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from ops.errors import ConfigurationError
from ops.section import Section

if TYPE_CHECKING:
    from publish.retention import Policy
    from publish.signature import Signer
    from publish.stores import Store


def _without_credentials(url: str) -> str:
    if "@" in url:
        raise ValueError("a store's address holds no credentials: give them in AWS_… variables or ~/.aws")
    return url


class StoreSettings(Section):
    """Where products are published. Credentials of S3 come from boto3's own chain, never from here."""

    url: Annotated[str, AfterValidator(_without_credentials)] = Field(
        default="var/products", min_length=1, description="Directory, file:// URL or s3://bucket/prefix."
    )
    endpoint_url: str | None = Field(default=None, description="Address of an S3 server other than Amazon's.")
    deadline_seconds: float = Field(
        default=300.0, gt=0, description="How long one request to S3 is tried, pauses included [s]."
    )
    timeout_seconds: float = Field(default=60.0, gt=0, description="Longest silence of S3 within one try [s].")
    part_mebibytes: int = Field(
        default=16, ge=5, le=5120, description="Larger files travel to and from S3 in parts of this size [MiB]."
    )
    encryption: Literal["AES256", "aws:kms"] | None = Field(
        default=None, description="Encryption that S3 is asked for: AES256 or aws:kms; unset: the bucket's own."
    )
    kms_key_id: str | None = Field(default=None, description="Key for aws:kms; unset: the account's own.")
    storage_class: str | None = Field(
        default=None, description="S3 storage class, such as STANDARD_IA; unset: the bucket's own."
    )

    def open(self, url: str | None = None) -> "Store":
        """The store, or that at another address with the same options. Raises ValueError for no such address."""
        from publish.stores import S3Options, open_store

        options = S3Options(
            deadline_seconds=self.deadline_seconds,
            timeout_seconds=self.timeout_seconds,
            part_bytes=self.part_mebibytes << 20,
            encryption=self.encryption,
            kms_key_id=self.kms_key_id,
            storage_class=self.storage_class,
        )
        return open_store(url or self.url, self.endpoint_url, options)


class SigningSettings(Section):
    """What vouches for the origin of products."""

    key: Path | None = Field(
        default=None, description="File with the Ed25519 private key (PEM) that signs manifests; unset: none is signed."
    )

    def signer(self) -> "Signer | None":
        """What signs manifests, None when nothing does. Raises ConfigurationError."""
        if self.key is None:
            return None
        from publish.signature import InvalidKeyFile, Signer

        try:
            return Signer.from_file(self.key)
        except InvalidKeyFile as error:
            raise ConfigurationError(f"signing.key: {error}") from None


class RetentionSettings(Section):
    """How long published runs are kept when `sigmacast products prune` is called; pinned runs are for ever."""

    keep_days: float | None = Field(
        default=None, ge=0, description="Complete runs are kept so long after their end [days]; unset: for ever."
    )
    by_product: dict[str, float] = Field(
        default={}, description="As keep_days, for product lines by name, which go before it."
    )
    first_of_month: bool = Field(
        default=True, description="Whether the first cycle of each month of a product line is kept for ever."
    )
    superseded_days: float | None = Field(
        default=7.0, ge=0, description="As keep_days, for runs in whose place another stands."
    )
    retracted_days: float | None = Field(default=7.0, ge=0, description="As keep_days, for retracted runs.")
    unfinished_days: float | None = Field(
        default=14.0, ge=0, description="As keep_days, for what failed and cancelled runs have left."
    )

    def policy(self) -> "Policy":
        """The rules, as the planner takes them."""
        from publish.retention import Policy

        return Policy(**self.model_dump())
