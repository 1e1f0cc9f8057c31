"""Writing what was found beside the solving: scenarios that wait together are written together."""

import time
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from types import TracebackType

from spatialjax.workflow.sweep_answers import Record

BUSY = 0.25
"""Largest share of the time that is spent in writing, where scenarios come faster than that."""
SLOWEST = 10.0
"""Seconds that a scenario waits at most, from when the writer is free."""
GROWTH = 0.005
"""Part of the time gone by that the writer may wait: a sweep of days has thousands of parts, not millions."""
MOST_WAITING = 2048


class Writer:
    """Writes records in a thread of its own, as soon as they are there; a context that has written all at its end.

    `write` is called with the records that wait, and returns once they are on the disk. An error in it is raised by
    the next `add`, or at the end.
    """

    def __init__(self, write: Callable[[Sequence[Record]], None]):
        self._write = write
        self._waiting: list[Record] = []
        self._changed = Condition()
        self._closing = False
        self._error: Exception | None = None
        self._thread = Thread(target=self._work, name="sweep-writer", daemon=True)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def add(self, record: Record) -> None:
        """Hand over a record; waits where many are waiting already."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or len(self._waiting) < MOST_WAITING)
            if self._error is not None:
                raise self._error
            self._waiting.append(record)
            self._changed.notify_all()

    def _work(self) -> None:
        begun = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                records, self._waiting = self._waiting, []
                self._changed.notify_all()
            if not records:
                return
            start = time.monotonic()
            try:
                self._write(records)
            except Exception as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            end = time.monotonic()
            with self._changed:
                pause = min(SLOWEST, max((end - start) / BUSY, GROWTH * (end - begun)))
                self._changed.wait_for(lambda: self._closing, timeout=pause)
