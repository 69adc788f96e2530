"""Results of stages that trainings share: computed by one, taken over by all others that need them.

    recipe.py     what decides a stage's result, and so its key
    artifact.py   what a stage leaves: tensors and history, with a digest
    claims.py     who computes a missing artifact, and who waits for it
    lease.py      the right to compute one, kept alive by a heartbeat
    tidy.py       removing what killed processes left
    folder.py     what these need of a place that several processes, on one machine or many, reach

So a training gets the same numbers whether it computes a stage or takes it over. For a function that
gives tensors that is, in full:

    with claim(folder, recipe, workers) as one:
        if one.found is None:
            one.keep(Artifact(tensors=compute(), history=[], seconds=took))
        use(one.found.tensors)
"""

from __future__ import annotations

from fame.artifacts.artifact import Artifact
from fame.artifacts.claims import Claim, claim
from fame.artifacts.folder import Folder, LocalFolder
from fame.artifacts.recipe import StageRecipe
from fame.artifacts.tidy import remove_abandoned

__all__ = ["Artifact", "Claim", "Folder", "LocalFolder", "StageRecipe", "claim", "remove_abandoned"]
