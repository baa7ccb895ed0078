"""A writer in a thread of its own does what it would do without, and tells of what goes wrong."""

import threading
from pathlib import Path

import pytest

from publish.writers.base import EncodedFile
from publish.writers.behind import Behind

FILE = EncodedFile("key", Path("file"), "kind", "type", (0,))


class Noting:
    """Notes what it is asked for, and in which thread; the slab `broken` is one that it cannot write."""

    def __init__(self) -> None:
        self.written, self.threads, self.aborted = [], set(), False

    def write(self, slab, statistics):
        self.threads.add(threading.current_thread())
        if slab == "broken":
            raise OSError("no space")
        self.written.append((slab, statistics))

    def close(self):
        return [FILE]

    def abort(self):
        self.aborted = True


def test_slabs_are_written_in_their_order_by_one_other_thread():
    noting = Noting()
    behind = Behind(noting)
    for number in range(20):
        behind.write(number, None)
    assert behind.close() == [FILE]
    assert noting.written == [(number, None) for number in range(20)]
    assert len(noting.threads) == 1 and threading.current_thread() not in noting.threads


@pytest.mark.parametrize("after", [0, 20])
def test_what_goes_wrong_is_raised_by_a_later_write_or_by_the_end(after):
    behind = Behind(Noting())
    behind.write("broken", None)
    with pytest.raises(OSError, match="no space"):
        for number in range(after):
            behind.write(number, None)
        behind.close()
    behind.abort()


def test_no_thread_is_left_behind_and_nothing_is_written_after_the_end_of_an_attempt():
    noting = Noting()
    behind = Behind(noting)
    for number in range(3):
        behind.write(number, None)
    behind.abort()
    written = list(noting.written)
    assert noting.aborted
    assert not any(thread.is_alive() for thread in noting.threads)
    assert noting.written == written
