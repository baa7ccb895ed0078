"""The directory of models: what is there, and one of them by name."""

import math
from dataclasses import dataclass
from pathlib import Path

from forecast.checkpoint.errors import CorruptCheckpoint, UnknownModel
from forecast.checkpoint.native import DOCUMENT_NAME, Checkpoint, Provenance, check_name, load, read_document


@dataclass(frozen=True)
class ModelSummary:
    """A stored model as its document describes it; the arrays are verified only when it is loaded."""

    name: str
    path: Path
    sha256: str
    parameter_shapes: dict[str, tuple[int, ...]]
    provenance: Provenance
    config_text: str

    @property
    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(math.prod(shape) for shape in self.parameter_shapes.values())


def model_names(directory: Path | str) -> list[str]:
    """Names of the models in `directory`, sorted; empty when it does not exist."""
    return sorted(
        path.parent.name for path in Path(directory).glob(f"*/{DOCUMENT_NAME}") if not path.parent.name.startswith(".")
    )


def list_models(directory: Path | str) -> list[ModelSummary]:
    """All models in `directory`, by name. Raises CorruptCheckpoint, naming it, when one is damaged."""
    return [describe_model(directory, name) for name in model_names(directory)]


def describe_model(directory: Path | str, name: str) -> ModelSummary:
    """The model `name` without its arrays. Raises UnknownModel or CorruptCheckpoint."""
    path = _model_path(directory, name)
    document = read_document(path)
    try:
        return ModelSummary(
            name=name,
            path=path,
            sha256=document["sha256"],
            parameter_shapes={leaf: tuple(shape) for leaf, shape in document["parameters"].items()},
            provenance=Provenance(**document["provenance"]),
            config_text=document["config_text"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise CorruptCheckpoint(f"the document of the model in {path} lacks an entry: {error}") from error


def find_model(directory: Path | str, name: str) -> Checkpoint:
    """The model `name`, loaded and verified. Raises UnknownModel, listing those that exist, or CorruptCheckpoint."""
    return load(_model_path(directory, name))


def _model_path(directory: Path | str, name: str) -> Path:
    check_name(name)
    if name not in (names := model_names(directory)):
        there = f"there are: {', '.join(names)}" if names else "there is none yet"
        raise UnknownModel(
            f"no model named {name!r} in {directory}; {there}. "
            "Import one with: sigmacast models import FILE.pkl --name NAME"
        )
    return Path(directory) / name
