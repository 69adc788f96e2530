"""An exported model as one graph: item numbers in, scores of all items out.

    items  int64 [batch, length]    numbers of a history, oldest first, padded on the right with 0
    scores float32 [batch, V]       column i is item number i + 1 of items.json, counted from 1

`model.pt2` is read by `torch.export.load`, `model.onnx` by onnxruntime and other engines. Batch and length are free; a
history may have `data.max_length` items. Items of the history score −∞ where the evaluation left them out. Both files
are checked against the model before they are written: the same ten best items, for batches of several shapes.

Letters: B rows, T time, V items.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fame.errors import UserError
from fame.runtime.files import as_created, writing
from fame.serving.exported import ExportedModel, load_model

if TYPE_CHECKING:
    from torch.export import ExportedProgram

TORCH_FILE, ONNX_FILE = "model.pt2", "model.onnx"
TOP, CLOSE = 10, 1e-4
"""How many of the best items must agree, and the difference of scores that counts as a tie, relative to the scores."""
TRACED = (3, 4)
"""Batch and length of the example that the graph is traced with: neither 0 nor 1, which torch takes for constants."""
CHECKED = 5
"""Rows of the largest batch that is compared."""
Run = Callable[[Tensor], Tensor]


class Graph(nn.Module):
    """A model, from item numbers to scores."""

    def __init__(self, exported: ExportedModel) -> None:
        super().__init__()
        self.model = exported.model.requires_grad_(False)
        self.max_length = exported.experiment.data.max_length
        self.leaves_out = exported.experiment.evaluate.exclude_seen

    def forward(self, items: Tensor) -> Tensor:
        """[B, T] → [B, V]."""
        items_BT, lengths_B = items, (items > 0).sum(1)
        if self.model.fixed_length:
            padding = items.new_zeros(items.shape[0], self.max_length)
            items_BT = torch.cat([items, padding], 1)[:, : self.max_length]
        scores_BV = self.model.scorer().scores(self.model.encode(items_BT, lengths_B))
        if not self.leaves_out:
            return scores_BV
        seen = torch.zeros(items.shape[0], scores_BV.shape[1] + 1, dtype=torch.bool).scatter(1, items, True)
        return scores_BV.masked_fill(seen[:, 1:], float("-inf"))


def trace(graph: Graph) -> ExportedProgram:
    """Return the graph as `torch.export` sees it, with free batch and length."""
    from torch.export import Dim, export

    batch, length = TRACED[0], min(TRACED[1], graph.max_length)
    free = {0: Dim("batch")}
    if graph.max_length > 1:
        free[1] = Dim("length", max=graph.max_length)
    try:
        with _quiet():
            program = export(graph, (torch.ones(batch, length, dtype=torch.int64),), dynamic_shapes=(free,))
    except Exception as error:  # torch has many kinds for what it cannot trace
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"model {type(graph.model).__name__} is no graph that torch.export can trace: {reason}"
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


def export_torch(folder: Path) -> Path:
    """Write `model.pt2` beside the model. Raises `UserError` if the folder holds no model or cannot be written."""
    graph = Graph(load_model(folder))
    program = trace(graph)

    def check(path: Path) -> Run:
        return torch.export.load(path).module()

    return _write(folder / TORCH_FILE, graph, functools.partial(torch.export.save, program), check)


def export_onnx(folder: Path) -> Path:
    """Write `model.onnx` beside the model. Raises `UserError`, also if the packages of the extra `export` are missing."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UserError(f"ONNX needs {', '.join(missing)}: pip install 'fame-tuning[export]'")
    graph = Graph(load_model(folder))
    with _quiet():
        program = torch.onnx.export(
            trace(graph), dynamo=True, verbose=False, input_names=["items"], output_names=["scores"]
        )
    assert program is not None

    def check(path: Path) -> Run:
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda items_BT: torch.from_numpy(session.run(["scores"], {"items": items_BT.numpy()})[0])

    return _write(folder / ONNX_FILE, graph, program.save, check)


def _write(target: Path, graph: Graph, save: Callable[[str], object], read: Callable[[Path], Run]) -> Path:
    """Save a file, read it back, compare it with the model, and move it to its place."""
    with writing(target), tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
        temporary = Path(work) / target.name
        with _quiet():
            save(str(temporary))
            differing = disagreement(graph, read(temporary))
        if differing is not None:
            raise AssertionError(f"{target.name} does not recommend what the model does: {differing}")
        for file in Path(work).iterdir():  # large models have their weights in a file of their own
            as_created(file)
            os.replace(file, target.with_name(file.name))
    return target


@torch.no_grad()
def disagreement(graph: Graph, run: Run) -> str | None:
    """Compare the ten best items with the model's, for the shortest and the longest histories. Return what differs.

    Items may change places where their scores are equal but for rounding.
    """
    item_count, longest = graph.model.scorer().item_count, graph.max_length
    for batch, length in ((1, 1), (1, longest), (CHECKED, longest), (CHECKED, max(1, longest // 2))):
        draw = torch.Generator().manual_seed(length)
        items_BT = torch.randint(1, item_count + 1, (batch, length), generator=draw)
        lengths_B = torch.randint(1, length + 1, (batch,), generator=draw)
        items_BT = items_BT.masked_fill(torch.arange(length) >= lengths_B[:, None], 0)
        ours_BV, theirs_BV = graph(items_BT), run(items_BT)
        best = theirs_BV.topk(min(TOP, item_count))
        expected_BK = ours_BV.topk(min(TOP, item_count)).values
        for what, found_BK in {"scores": best.values, "items": ours_BV.gather(1, best.indices)}.items():
            same = torch.isclose(found_BK, expected_BK, rtol=CLOSE, atol=CLOSE)
            if not same.all():
                return (
                    f"{what} of a batch of {batch} with length {length}, by {(found_BK - expected_BK).abs().max():.2g}"
                )
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
