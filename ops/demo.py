"""The demo's model: the small trained checkpoint that ships as a data file in the distribution `neuralgcm`."""

from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from forecast.checkpoint import native, registry
from ops.errors import NotFound

MODEL = "demo"
DISTRIBUTION = "neuralgcm"
CHECKPOINT = "neuralgcm/data/tl63_stochastic_mini.pkl"


def ensure_model(models: Path) -> None:
    """Import the demo model if it is not there. Only the data file is read; no code of the distribution runs."""
    if MODEL not in registry.model_names(models):
        import_archive(checkpoint_file(), MODEL, models)


def checkpoint_file() -> Path:
    """The installed data file. Raises NotFound, saying how to get it."""
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        raise NotFound(
            f"the demo's model is a file of the distribution {DISTRIBUTION}, which is not installed: "
            "install sigmacast with the extra demo"
        ) from None
    path = Path(str(distribution.locate_file(CHECKPOINT)))
    if not path.is_file():
        raise NotFound(f"expected {CHECKPOINT} in {DISTRIBUTION} {distribution.version}: install version 1.2.2")
    return path


def import_archive(archive: Path, name: str, models: Path) -> native.Checkpoint:
    """Read a published archive and keep it as the model `name`. Raises CheckpointError."""
    checkpoint = native.from_archive(archive, name, datetime.now(UTC), metadata.version("sigmacast"))
    native.save(checkpoint, models)
    return checkpoint
