"""The settings that decide a stage's result, and the key that its artifact is stored under."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fame.runtime.parallel import Workers


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """A stage's result is a pure function of these."""

    stage: str
    version: int
    """Version of the stage's code. Raise it when a change gives another result."""
    settings: Mapping[str, Any]
    """Deciding settings, by the keys that they have in the experiment, and those alone."""
    before: StageRecipe | None = None
    """Recipe of the stage whose result this stage starts from."""

    def key(self, workers: Workers) -> str:
        """Short hash of it all, and of who computes: on CPUs results are the same to the bit.

        (GPUs of different kinds, which differ in the last digits, count as one.)
        """
        content = {
            "stage": self.stage,
            "version": self.version,
            "settings": dict(self.settings),
            "before": self.before and self.before.key(workers),
            "workers": [workers.device.type, workers.size],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
