"""The engine of `fame.recommend --address`: Ray Data computes the parts on a cluster.

A row of the Ray dataset is a part: its number, and the users. Each process of the cluster loads the model once, from the
object store. The driver alone writes files, so nothing but Ray has to be shared between the machines.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fame.serving.bulk import Engine, Job, RowMaker
from fame.serving.histories import Histories
from fame.serving.recommender import load_recommender
from fame.serving.request import Request
from tuning.machines.ray_data import connected, parts_of
from tuning.machines.resources import found

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED = ("config.yaml", "items.json", "model.safetensors", "index.safetensors")
"""Files of an exported folder that recommending reads."""


def engine(address: str) -> Engine:
    """Return the engine of the cluster at an address."""

    def parts(job: Job, numbers: Sequence[int]) -> Iterator[tuple[int, pa.Table]]:
        if not numbers:
            return
        with connected(address):
            yield from _computed(job, numbers)

    return parts


def _computed(job: Job, numbers: Sequence[int]) -> Iterator[tuple[int, pa.Table]]:
    """Yield the parts as they are ready."""
    import pyarrow as pa
    import ray

    files = {name: (job.folder / name).read_bytes() for name in NEEDED if (job.folder / name).exists()}
    model = ray.put(files)
    cpus = max(1, sum(node.cpus for node in found()))
    rows = parts_of([{"number": number, "users": pickle.dumps(job.part(number))} for number in numbers])
    tables = rows.map(
        cast(Any, RecommendingWorker),  # Ray takes a class, too
        fn_constructor_args=([model], job.request),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(cpus, len(numbers))),
        num_cpus=1,
    )
    for row in tables.iter_rows():
        yield row["number"], pa.ipc.open_stream(row["table"]).read_all()


class RecommendingWorker:
    """A process of the cluster that has loaded the model."""

    def __init__(self, model: list[Any], request: Request) -> None:
        import ray
        import torch

        torch.set_num_threads(1)
        (self.files,) = ray.get(model)
        self.request = request

    @cached_property
    def rows(self) -> RowMaker:
        with tempfile.TemporaryDirectory(prefix="fame-model-") as folder:
            for name, content in self.files.items():
                (Path(folder) / name).write_bytes(content)
            recommender = load_recommender(Path(folder))
        return RowMaker(recommender, self.request)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import pyarrow as pa

        users: Histories = pickle.loads(row["users"])
        table, sink = self.rows(users), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return {"number": row["number"], "table": sink.getvalue().to_pybytes()}
