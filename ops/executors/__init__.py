"""Where workers run: one process per run, behind one protocol (`base`).

A launcher starts `python -m ops.work` (`local`), which reads one job from its standard input, makes the run and ends
with an exit code (`exits`). That program and not `sigmacast run` is started because options, which may hold secrets,
are then not shown by `ps`, and because the open standard input tells the worker that its launcher is alive. What is
tried again and when are pure rules (`retries`).
"""
