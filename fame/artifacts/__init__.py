"""Results of stages that trainings share: computed by one, taken over by all others that need them.

    artifact.py   what a stage leaves: tensors and history, with a digest
    claims.py     who computes a missing artifact, and who waits for it
    lease.py      the right to compute one, kept alive by a heartbeat
    folder.py     what these need of a place that several processes, on one machine or many, reach

An artifact is stored under a key that only settings which decide it go into (`fame.stage.Stage.key`),
so that a training gets the same numbers whether it computes a stage or takes it over.
"""

from __future__ import annotations

from fame.artifacts.artifact import Artifact
from fame.artifacts.claims import Claim, claim
from fame.artifacts.folder import Folder, LocalFolder

__all__ = ["Artifact", "Claim", "Folder", "LocalFolder", "claim"]
