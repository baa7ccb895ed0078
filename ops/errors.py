"""What a command can end with: an exit code, and for each error one clear paragraph.

OperationError
├── RunFailed              1    read the message; run again when mended, and the run goes on from what it saved
├── ConfigurationError     2    correct the setting or the option that is named
├── InputRefused           3    give another file, or wait for the source
├── QuorumFailed           4    look at the members lost; raise the ensemble's size or check the model
├── AlreadyRunning         5    wait for the process that is named
├── NotFound               6    name a run, product or model that exists
├── HistoryUnavailable     7    start or upgrade the database
├── OutOfMemory            8    give the run more memory, or make a smaller forecast
├── DeviceLost             9    look at the device and its driver; the run goes on where there is a sound one
├── TimedOut               10   look at what the stage waited for; run again: it goes on
└── Interrupted            130 or 143    run again: the run goes on from its last saved window
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller. Documented in docs/cli.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INPUT_REFUSED = 3
    QUORUM_LOST = 4
    ALREADY_RUNNING = 5
    NOT_FOUND = 6
    HISTORY_UNAVAILABLE = 7
    OUT_OF_MEMORY = 8
    DEVICE_LOST = 9
    TIMED_OUT = 10
    INTERRUPTED = 130
    TERMINATED = 143


class OperationError(Exception):
    """A command could not do what was asked."""

    exit_code = ExitCode.FAILED


class RunFailed(OperationError):
    """The run, or the command, failed."""


class ConfigurationError(OperationError):
    """A setting or option is unknown or has an impossible value."""

    exit_code = ExitCode.USAGE


class InputRefused(OperationError):
    """The source gave no analysis that may reach the model."""

    exit_code = ExitCode.INPUT_REFUSED


class QuorumFailed(OperationError):
    """Too few members ended for the forecast to be published."""

    exit_code = ExitCode.QUORUM_LOST


class AlreadyRunning(OperationError):
    """Another live process has the run."""

    exit_code = ExitCode.ALREADY_RUNNING


class NotFound(OperationError):
    """There is no such run, product or model."""

    exit_code = ExitCode.NOT_FOUND


class HistoryUnavailable(OperationError):
    """The database does not answer, or its tables are of another version."""

    exit_code = ExitCode.HISTORY_UNAVAILABLE


class OutOfMemory(OperationError):
    """The forecast does not fit into memory, not even one member at a time."""

    exit_code = ExitCode.OUT_OF_MEMORY


class DeviceLost(OperationError):
    """The device that computes does not answer any more, or gave an error that it does not recover from."""

    exit_code = ExitCode.DEVICE_LOST


class TimedOut(OperationError):
    """A stage took longer than it may."""

    exit_code = ExitCode.TIMED_OUT


class Interrupted(OperationError):
    """A signal asked the process to stop; the run is saved up to its last window."""

    exit_code = ExitCode.INTERRUPTED


class Terminated(Interrupted):
    """As Interrupted, by SIGTERM."""

    exit_code = ExitCode.TERMINATED
