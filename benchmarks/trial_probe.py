"""Stamps of time in the processes of a trial; `benchmarks.trial_start` reads them.

Trial processes import this module in place of what they would run otherwise, and so say when they
came to it. What runs is the sweep's own code, with a stamp taken where a part of the start ends.
"""

from __future__ import annotations

import time
from typing import Any

ENTERED = time.time()

from fame.training.fit import StageRun, fit  # noqa: E402
from tuning.trial import inline, loop, torch_trainer  # noqa: E402
from tuning.trial.plan import TrialPlan  # noqa: E402

IMPORTED = time.time()
STAMPS: dict[str, float] = {}
"""When each part of the running trial's start ended."""
DRIVER = ("asked", "driver")
"""Stamps that were taken in other processes and come with the trial's configuration."""


def stamp(name: str) -> None:
    STAMPS.setdefault(name, time.time())


def begin(config: dict[str, Any], fresh: bool) -> dict[str, Any]:
    """A new trial has come; returns its configuration without stamps. A fresh process was made for it."""
    STAMPS.clear()
    STAMPS.update({name: config[name] for name in DRIVER if name in config})
    if fresh:
        STAMPS.update(process=ENTERED, imports=IMPORTED)
    stamp("handed over")
    return {key: value for key, value in config.items() if key not in DRIVER}


def stamp_after(owner: object, function: str, name: str) -> None:
    """Take the stamp `name` whenever the function of `owner` has returned."""
    plain = getattr(owner, function)

    def stamping(*args: Any, **kwargs: Any) -> Any:
        result = plain(*args, **kwargs)
        stamp(name)
        return result

    setattr(owner, function, stamping)


def watch() -> None:
    """Take the stamps of this process."""
    plain = loop.reported_metrics
    loop.fit = lambda *args: fit(*args, on_step=lambda done, of: stamp("first step"))
    loop.reported_metrics = lambda *args: {**plain(*args), "stamps": dict(STAMPS)}
    stamp_after(loop, "resolve", "dataset")
    stamp_after(StageRun, "__init__", "model")


class InlineProbe(inline.InlineTrial):
    """An inline trial with stamps."""

    def setup(self, config: dict[str, Any], plan: TrialPlan) -> None:
        watch()
        super().setup(begin(config, fresh=True), plan)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return super().reset_config(begin(new_config, fresh=False))


def torch_probe(config: dict[str, Any], plan: TrialPlan) -> None:
    """`torch_trainer.run_trial` with stamps."""
    torch_trainer.train_loop = train_loop
    torch_trainer.run_trial({**config, "driver": time.time()}, plan)


plain_loop = torch_trainer.train_loop


def train_loop(config: dict[str, Any]) -> None:
    watch()
    plain_loop({**config, "trial": begin(config["trial"], fresh=True)})
