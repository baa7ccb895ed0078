"""How states look: a word, a sign and a tone each, so that none is told by colour alone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """`sign` names a drawing in the templates, `tone` a colour of the style sheet."""

    word: str
    sign: str
    tone: str


_LOOKS = {
    "published": Look("Published", "check", "good"),
    "done": Look("Done", "check", "good"),
    "ok": Look("Good", "check", "good"),
    "complete": Look("Complete", "check", "good"),
    "running": Look("Running", "play", "busy"),
    "created": Look("Waiting", "ring", "calm"),
    "waiting": Look("Waiting", "ring", "calm"),
    "interrupted": Look("Interrupted", "pause", "warn"),
    "failed": Look("Failed", "cross", "bad"),
    "cancelled": Look("Cancelled", "bar", "calm"),
    "superseded": Look("Superseded", "swap", "calm"),
    "retracted": Look("Retracted", "bar", "warn"),
    "late": Look("Late", "up", "warn"),
    "incomplete": Look("Not complete", "half", "warn"),
    "unknown": Look("Unknown", "query", "calm"),
    "attention": Look("Attention", "up", "warn"),
    "bad": Look("Trouble", "cross", "bad"),
    "norun": Look("No run", "bar", "calm"),
}


def look(state: str) -> Look:
    """How a state is shown; one that nobody foresaw is shown by its own name."""
    return _LOOKS.get(state) or Look(state.capitalize(), "query", "calm")
