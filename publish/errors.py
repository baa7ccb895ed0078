"""What can go wrong with the publication of a run, by what the caller should do.

PublishError             say it and stop
├── AlreadyPublished     publish under another product name, or into another store
├── TakenOver            stop: another process publishes the run
├── IncompleteRun        publish what is missing first
└── QuorumMissed         look at the members lost; the run must not be declared complete
"""


class PublishError(RuntimeError):
    """A run cannot be published as asked."""


class AlreadyPublished(PublishError):
    """Another run, or another version of this one, is published under the same name; choose another name."""


class TakenOver(PublishError):
    """Another process has taken over the publication of the run; stop."""


class IncompleteRun(PublishError):
    """Lead times are missing, so the run must not be declared complete; publish them first."""


class QuorumMissed(PublishError):
    """Too few members reached the end for the run to be declared complete."""
