"""Where workers run: one process per run, behind one protocol."""
