"""The way from the spool to MLflow: one thread, so that a slow or dead store takes no time of the sweep."""

from __future__ import annotations

import logging
import threading
import time

from mlflow.exceptions import MlflowException

from fame.errors import UserError
from tuning.faults.disk import cannot_write, described
from tuning.tracking.records import Record
from tuning.tracking.spool import Spool
from tuning.tracking.store import first_line
from tuning.tracking.writer import Writer

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
"""Records of so long are written together."""
RETRY_SECONDS = 2.0
"""Pause before a store that did not answer is asked again."""
RECORDS = 1000
"""Most records that are written, and then forgotten, together."""


class Delivery:
    """Takes records into a spool and writes them in its own time. `where` is the store's address, to show."""

    def __init__(self, spool: Spool, writer: Writer, where: str) -> None:
        self.spool, self.writer, self.where = spool, writer, where
        self.away: str | None = None
        """Why the store took nothing when it was last tried."""
        self._progress = self._away_since = 0.0
        self._failures = 0
        self._broken: BaseException | None = None
        self._closed = self._full = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, record: Record) -> None:
        """Returns once the record is in the file. From the first one on that the file's disk does not take all are
        dropped: what MLflow then lacks is added from the study by `--resume` (`tuning.tracking.agreement`)."""
        assert not self._closed
        self._raise_what_broke()
        if self._full:
            return
        try:
            self.spool.append(record)
        except OSError as error:
            if not cannot_write(error):
                raise
            self._full = True
            log.warning("cannot write %s: MLflow gets the rest with --resume", described(error, self.spool.path))

    def flush(self, seconds: float) -> int:
        """Wait until all is written, or the store has taken nothing for so long; returns how many records wait.

        One that has been silent for longer already is asked once more.
        """
        assert not self._closed
        began, failures = time.monotonic(), self._failures
        while self.spool.count:
            since = max(self._progress, began if self.away is None else self._away_since)
            if self._failures > failures and time.monotonic() - since >= seconds:
                break
            self._raise_what_broke()
            self._wake.set()
            time.sleep(0.02 if self.away is None else 0.5)
        return self.spool.count

    def close(self) -> None:
        """Stop writing; what waits stays in the file."""
        self._closed = True
        self._wake.set()
        self._thread.join(timeout=EVERY_SECONDS)  # a request under way may take long, and need not be waited for
        self.spool.close()

    def note_away(self, error: Exception) -> None:
        """Remember, and say once, that the store does not answer."""
        self._failures += 1
        if self.away is None:
            self._away_since = time.monotonic()
            log.warning(
                "MLflow at %s does not answer (%s); the sweep goes on, what it is to get waits in %s",
                self.where, first_line(error), self.spool.path,
            )  # fmt: skip
        self.away = first_line(error)

    def _run(self) -> None:
        try:
            while not self._closed:
                self._wake.wait(EVERY_SECONDS if self.away is None else RETRY_SECONDS)
                self._wake.clear()
                self._deliver()
        except BaseException as error:  # raised in the thread that submits
            self._broken = error

    def _deliver(self) -> None:
        while not self._closed and (chunk := self.spool.peek(RECORDS)).records:
            try:
                self.writer.write(chunk.records)
            except (MlflowException, UserError, OSError) as error:
                self.note_away(error)
                return
            self.spool.forget(chunk)
            self._progress = time.monotonic()
            if self.away is not None:
                log.warning("MLflow at %s answers again", self.where)
                self.away = None

    def _raise_what_broke(self) -> None:
        if self._broken is not None:
            raise RuntimeError("writing to MLflow broke") from self._broken
