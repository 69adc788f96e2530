"""Claims on missing artifacts: the first process that asks computes one; the others wait, and take over its result."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

from fame.artifacts.artifact import Artifact
from fame.artifacts.folder import Folder
from fame.artifacts.lease import Lease
from fame.artifacts.recipe import StageRecipe
from fame.errors import UserError
from fame.runtime.parallel import Workers

POLL_SECONDS = 0.5
"""How often who waits looks again."""
log = logging.getLogger(__name__)


class Claim:
    """A training's claim on one artifact: `found`, or its own to compute and `keep`.

    Of several workers only the first one asks and keeps; the others do as it does.
    """

    def __init__(self, folder: Folder, recipe: StageRecipe, workers: Workers) -> None:
        name = f"{recipe.stage}-{recipe.key(workers)}"
        self.folder, self.recipe, self.workers, self.name = folder, recipe, workers, f"{name}.safetensors"
        self.lease = Lease(folder, name)
        self.found: Artifact | None = None
        self.shared = False
        """Whether somebody else has computed it."""
        self.waited = 0.0
        """Seconds until somebody else had computed it, or had given up."""
        self.rebuilds = False
        """Whether a damaged artifact was there."""

    def settle(self) -> None:
        """Wait until the artifact is there, or is this training's to compute."""
        began, waits = time.monotonic(), False
        while not self.workers.decided(self.workers.first and self._is_settled()):
            if not waits:
                log.warning("%s is being computed by another training; waiting for it", self.name)
            waits = True
            time.sleep(POLL_SECONDS)
        if waits:
            self.waited = time.monotonic() - began
        if self.workers.decided(self.found is not None) and self.found is None:
            self.found = Artifact.load(self.folder, self.name)
            assert self.found is not None, f"{self.name} is not where the first worker has found it"
        self.shared = self.found is not None

    def keep(self, artifact: Artifact) -> None:
        """Store what was computed, for all others."""
        if self.workers.first:
            artifact.save(self.folder, self.name)
            self.lease.release()
        self.found = artifact

    def _is_settled(self) -> bool:
        if self._look() is None:
            return True
        if not self.lease.acquire():
            return False
        # The owner before may have kept it, and released the lease, since the first look.
        damage = self._look()
        if damage is None:
            self.lease.release()
        elif damage:
            log.warning("%s is damaged (%s); it is discarded and computed again", self.name, damage)
            self.rebuilds = True
            self.folder.remove(self.name)
        return True

    def _look(self) -> str | None:
        """None if the artifact is there; else what is wrong with it, nothing if it is missing."""
        try:
            self.found = Artifact.load(self.folder, self.name)
        except UserError as error:
            return str(error)
        return "" if self.found is None else None


@contextlib.contextmanager
def claim(folder: Folder, recipe: StageRecipe, workers: Workers) -> Iterator[Claim]:
    """A settled claim, given up at the end of the block whatever has become of it."""
    one = Claim(folder, recipe, workers)
    try:
        one.settle()
        yield one
    finally:
        one.lease.release()
