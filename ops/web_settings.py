"""The section `[web]` of the configuration."""

from typing import Literal

from pydantic import Field

from ops.section import Section


class WebSettings(Section):
    """The HTTP API and the dashboard."""

    serve: bool = Field(default=False, description="Whether the daemon serves them, as `sigmacast serve` does.")
    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; other than loopback only behind a proxy."
    )
    port: int = Field(default=8643, ge=1, le=65535, description="TCP port to listen on.")
    processes: int = Field(default=1, ge=1, le=64, description="Processes of `sigmacast serve` that answer requests.")
    downloads: Literal["redirect", "stream"] = Field(
        default="redirect",
        description="Products on S3: redirect to a presigned address, or stream through the server. "
        "Those in a directory are streamed.",
    )
    link_seconds: int = Field(
        default=900, ge=10, le=604800, description="How long presigned addresses of products are good [s]."
    )
    statement_seconds: float = Field(
        default=5.0, gt=0, le=600, description="Longest time of one database query of a request [s]."
    )
    body_kibibytes: int = Field(default=64, ge=1, le=65536, description="Largest body of a request [KiB].")
    drain_seconds: int = Field(
        default=20, ge=1, le=3600, description="How long requests may take to end when the server stops [s]."
    )
