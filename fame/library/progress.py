"""The progress of a training: a bar in a script or a notebook, lines in a command."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from fame.training.loop import EpochReport

SHAPE = "{desc}: {percentage:3.0f}%|{bar}| {n:.3g}/{total_fmt} epochs [{elapsed}<{remaining}{postfix}]"
"""The line of `Bar`, whose steps are parts of an epoch."""


class Progress(Protocol):
    """Is told what a training has done."""

    def step(self, done: int, of: int) -> None:
        """A step of an epoch is done."""

    def epoch(self, report: EpochReport, metric: str) -> None:
        """An epoch is done."""

    def refit(self, stage: str, done: int, of: int, loss: float) -> None:
        """An epoch of a training on everything is done."""

    def close(self) -> None:
        """The training has ended."""


class Lines:
    """A line after each epoch, and a bar within the epoch when standard error is a terminal."""

    def __init__(self) -> None:
        self.bar = bar(False, leave=False, unit="step")

    def step(self, done: int, of: int) -> None:
        if done == 1:
            self.bar.reset(of)
        self.bar.update(done - self.bar.n)

    def epoch(self, report: EpochReport, metric: str) -> None:
        self.bar.clear()
        print(
            f"epoch {report.epoch:3d} {report.stage:8s} loss {report.loss:.4f}  {metric} {report.validation[metric]:.4f}"
            f"{'' if report.standard_error is None else f' ± {report.standard_error:.4f}'}  "
            f"best {report.best:.4f} (epoch {report.best_epoch})  {report.train_seconds + report.evaluate_seconds:.1f} s  "
            f"{report.items_per_second:,.0f} items/s  padding {report.padding:.1%}",
            flush=True,
        )

    def refit(self, stage: str, done: int, of: int, loss: float) -> None:
        self.bar.clear()
        print(f"everything: epoch {done:3d} of {of} {stage:8s} loss {loss:.4f}", flush=True)

    def close(self) -> None:
        self.bar.close()


class Bar:
    """One bar over all epochs, on a terminal or in a notebook, with the validation metric behind it. `silent` hides it."""

    def __init__(self, name: str, epochs: int, silent: bool) -> None:
        self.bar = bar(silent, total=epochs, desc=name, bar_format=SHAPE)
        self.done = 0

    def step(self, done: int, of: int) -> None:
        self.bar.update(self.done + done / of - self.bar.n)

    def epoch(self, report: EpochReport, metric: str) -> None:
        self.done = report.epoch
        self.bar.set_postfix_str(f"{metric} {report.validation[metric]:.4f}, best {report.best:.4f}", refresh=False)
        self.bar.update(self.done - self.bar.n)

    def refit(self, stage: str, done: int, of: int, loss: float) -> None:
        self.bar.set_postfix_str(f"on everything {done}/{of}")

    def close(self) -> None:
        if self.done and self.bar.total != self.done:  # early stopping
            self.bar.total = self.done
            self.bar.refresh()
        self.bar.close()


def bar(silent: bool, **options: Any) -> Any:
    """Return a bar of tqdm's: a widget in a notebook that has ipywidgets, text in other notebooks and on terminals."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a notebook has no ipywidgets
        from tqdm.auto import tqdm
    notebook = "ipykernel.zmqshell" in sys.modules
    disable = True if silent else False if notebook else None  # None: it is shown on a terminal alone
    return cast(Any, tqdm)(dynamic_ncols=True, disable=disable, **options)
