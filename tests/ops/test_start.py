"""The program as it is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.start import MEMORY, TUNABLES

PROGRAM = Path(sys.executable).parent / "sigmacast"


@pytest.mark.skipif(sys.platform != "linux", reason="this is asked of the C library of Linux")
@pytest.mark.parametrize(("given", "wanted"), [({}, MEMORY), ({TUNABLES: "glibc.malloc.check=0"}, None)])
def test_the_command_line_runs_with_huge_pages_and_few_arenas_unless_told_otherwise(tmp_path, given, wanted):
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys\nprint('tunables', os.environ.get({TUNABLES!r}), len(sys.orig_argv), file=sys.stderr)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != TUNABLES}
    environment |= given | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([PROGRAM, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("sigmacast ")
    starts = [line for line in done.stderr.splitlines() if line.startswith("tunables")]
    assert starts[-1].split()[1] == (wanted or given[TUNABLES])
    assert len(starts) == (2 if wanted else 1)
    assert len({line.split()[2] for line in starts}) == 1
