"""How a program ends: with an exit code, and an error as one paragraph on the standard error."""

import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from ops.errors import ExitCode


def exit_with(action: Callable[[], object], *, trace: bool = False) -> NoReturn:
    """Do it, and exit with the code for how it went; with `trace` the traceback of an error is shown too."""
    try:
        action()
    except Exception as error:
        sys.exit(_told(error, trace))
    sys.exit(ExitCode.OK)


def _told(error: Exception, trace: bool) -> ExitCode:
    """Print the error; its exit code."""
    from ops.failures import explained

    known = explained(error)
    if trace:
        traceback.print_exception(error)
    if known is not None:
        print(f"sigmacast: {known}", file=sys.stderr)
        return known.exit_code
    from db import masked_url

    hint = "" if trace else " Run the command with --debug to see where, and please report it."
    print(masked_url(f"sigmacast: unexpected {type(error).__name__}: {error}.{hint}"), file=sys.stderr)
    return ExitCode.FAILED
