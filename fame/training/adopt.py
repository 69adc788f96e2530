"""Taking over a training's state under other settings, as population based training does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.config import CHANGEABLE, Experiment
from fame.config.tree import flatten, to_dict
from fame.errors import UserError
from fame.training.fit import CHECKPOINT, deciding, header_experiment
from fame.training.loop import Change


def adopt(source: Path, folder: Path, experiment: Experiment, origin: str) -> None:
    """Write to `folder` the state of the training in `source`, for `fit` to go on with as `experiment`.

    Weights, the optimiser's moments, the best weights and the history are kept; the change is noted
    in the checkpoint under the name `origin`. Only settings in `CHANGEABLE` may differ: with all
    others equal the tensors fit. Raises `UserError` if more than those differ.
    """
    path = source / CHECKPOINT
    tensors, header = load_checkpoint(path)
    old, new = (flatten(deciding(e)) for e in (header_experiment(path, header), experiment))
    changed = {key: [old.get(key), new.get(key)] for key in old | new if old.get(key) != new.get(key)}
    for key, (before, now) in changed.items():
        if key not in CHANGEABLE:
            raise UserError(
                f"{path} cannot be taken over with {key} = {now!r}: it was trained with {before!r}, "
                f"and only {', '.join(CHANGEABLE)} may change"
            )
    change = Change(epoch=len(header["history"]), origin=origin, settings=changed)
    header["experiment"] = to_dict(experiment)
    header["changes"] = [*header["changes"], dataclasses.asdict(change)]
    save_checkpoint(folder / CHECKPOINT, tensors, header)
