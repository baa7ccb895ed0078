"""What can go wrong with the run history; the tree stands in the package's docstring."""


class DatabaseError(Exception):
    """The run history refused, or cannot do, what was asked."""


class SchemaMismatch(DatabaseError):
    """The tables are older or newer than this code: upgrade the one or the other."""


class UnknownRun(DatabaseError):
    """No run, or more than one, answers to the name."""


class UnknownOrder(DatabaseError):
    """There is no open order of this number."""


class RunExists(DatabaseError):
    """An active or published run of this model, cycle and configuration is there already: use that one."""


class IllegalTransition(DatabaseError):
    """The run is not in a state from which it may go to the one asked for."""


class LeaseError(DatabaseError):
    """The run is not this process's to change."""


class LeaseHeld(LeaseError):
    """Another live process holds the run; ask again when it has ended or its lease has expired."""


class LeaseLost(LeaseError):
    """Another process has taken the run over: stop, and write nothing more."""
