"""What can be wrong with a checkpoint. The class says what to do about it.

CheckpointError(ValueError)
├── GinSyntaxError        the configuration text is not plain gin: the line is named
├── MissingBinding        the configuration lacks a value that the model needs
├── UnsafeArchive         the file asks for more than arrays and plain containers: do not use it
├── InvalidArchive        the file is no published archive, truncated or incomplete: fetch it again
├── CorruptCheckpoint     stored files do not match their SHA-256: import the archive again
├── ParameterMismatch     parameters and configuration do not belong together
└── UnknownModel          no such model in the directory: the message lists those that exist
"""


class CheckpointError(ValueError):
    """Something is wrong with a checkpoint."""


class GinSyntaxError(CheckpointError):
    """The configuration text is not gin that can be read as data."""


class MissingBinding(CheckpointError):
    """The configuration binds no value to a parameter that was asked for."""


class UnsafeArchive(CheckpointError):
    """The archive asks for something other than arrays and plain containers; nothing of it was executed."""


class InvalidArchive(CheckpointError):
    """The archive is truncated, incomplete or of another kind."""


class CorruptCheckpoint(CheckpointError):
    """A stored checkpoint is incomplete or differs from what was saved."""


class ParameterMismatch(CheckpointError):
    """Parameters are missing, unused or of another shape than the model's."""


class UnknownModel(CheckpointError):
    """No model of that name, or a name that cannot be one."""
