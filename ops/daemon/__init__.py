"""The daemon: looks at feeds, makes the runs of cycles whose data is there, starts workers, and sees them to an end.

`Lookout.look` asks feeds and makes runs; `ops.scheduler.Scheduler.tick` does everything with runs. Both are plain calls
that take the time from a clock and keep what matters in the run history, so that they may be called at any moment, by
several daemons on several hosts. `Service` is the process around them: timer, signals, systemd.
"""
