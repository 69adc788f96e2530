"""Measures the time of an answer: `python -m benchmarks.serving [--model DIR]`, of a model that a training or a sweep exported.

Histories are those of users of its dataset, the answer is the top 10, through the code that is served
(`fame.recommend.Recommender`), two threads: one user at a time (latency), and batches (users a second). First with the
model's own catalogue, also by a real `mlflow models serve` over HTTP. Then with a million items, the model's own many
times over with noise: by exact scores of all of them, and through an index (`fame.index`). Without `--model` one is
trained for an epoch on synthetic data with as many items as Beauty.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Row, add_tiny, publish
from fame.config.tree import to_dict
from fame.datasets import load_dataset
from fame.errors import UserError, run_command
from fame.registry import models
from fame.serving.exported import Catalogue, ExportedModel, load_model
from fame.serving.measure_index import measured
from fame.serving.recommender import Recommender
from fame.serving.request import Request
from tuning.registry.package import package

SIZE, MILLION = (20_000, 12_101), 1_000_000
"""Users and items of the model that is trained, and items of the large catalogue."""
TINY = ((100, 60), 2_000)
THREADS, TOP, BATCH, USERS, WARMUP = 2, 10, 64, 512, 5
NOISE = 0.5
"""Noise of a copied item: its length as a share of the distance between an item and the nearest other one."""

Work = Callable[[list[list[int]]], object]


def histories(exported: ExportedModel, count: int) -> list[list[int]]:
    """All items of `count` users of the model's dataset, drawn at random (some twice if there are not so many)."""
    sequences = load_dataset(exported.experiment.data).sequences
    return [sequences[user].tolist() for user in np.random.default_rng(0).integers(0, len(sequences), count)]


def enlarged(exported: ExportedModel, item_count: int) -> ExportedModel:
    """The model with so many items: its own, followed by copies of them with noise."""
    experiment, own = exported.experiment, exported.model
    table_VD = own.item_table().detach()
    rows = torch.arange(item_count) % len(table_VD)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(item_count, table_VD.shape[1], generator=generator)
    noise *= NOISE * nearest(table_VD) / noise.norm(dim=1, keepdim=True)
    noise[: len(table_VD)] = 0
    model = models.get(experiment.model.name)(experiment.model, item_count, experiment.data.max_length)
    embedding = model.item_embedding()
    if embedding is None:
        raise UserError(f"{experiment.model.name} has no item embedding, of which a larger one could be made")
    ours = {id(parameter): name for name, parameter in model.named_parameters()}[id(embedding.weight)]
    model.load_state_dict({k: v for k, v in own.state_dict().items() if k != ours}, strict=False)
    with torch.no_grad():
        embedding.weight[1:] = table_VD[rows] + noise
    ids = list(range(1, item_count + 1))
    catalogue = Catalogue(ids=ids, titles=[f"item {id}" for id in ids], counts=ids)
    return ExportedModel(model=model.eval(), experiment=experiment, catalogue=catalogue)


def nearest(table_VD: Tensor) -> float:
    """Median distance of an item to the nearest other one, from a thousand of them."""
    some = torch.randperm(len(table_VD), generator=torch.Generator().manual_seed(0))[:1000]
    return float(torch.cdist(table_VD[some], table_VD).topk(2, largest=False).values[:, 1].median())


def milliseconds(work: Work, batches: Sequence[list[list[int]]]) -> np.ndarray:
    """Return the milliseconds of each batch, after the first few."""
    took = []
    for batch in batches:
        began = time.perf_counter()
        work(batch)
        took.append((time.perf_counter() - began) * 1000)
    return np.array(took[WARMUP:])


def rows_of(what: str, work: Work, users: list[list[int]], rounds: int) -> list[Row]:
    alone = milliseconds(work, [[user] for user in users[: rounds + WARMUP]])
    many = (users * 20)[: BATCH * (rounds // 10 + WARMUP)]
    batches = milliseconds(work, [many[start : start + BATCH] for start in range(0, len(many), BATCH)])
    return [
        Row(what=f"{what}, one user, p50", value=float(np.percentile(alone, 50)), unit="ms"),
        Row(what=f"{what}, one user, p99", value=float(np.percentile(alone, 99)), unit="ms"),
        Row(what=f"{what}, one user after the other", value=1000 / alone.mean(), unit="users/s"),
        Row(what=f"{what}, batches of {BATCH}, p50 of a batch", value=float(np.percentile(batches, 50)), unit="ms"),
        Row(what=f"{what}, batches of {BATCH}, p99 of a batch", value=float(np.percentile(batches, 99)), unit="ms"),
        Row(what=f"{what}, batches of {BATCH}", value=BATCH * 1000 / batches.mean(), unit="users/s"),
    ]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of `mlflow models serve`, a process of its own on loopback with two threads and one worker."""
    with tempfile.TemporaryDirectory() as work, socket.socket() as probe:
        package(folder, Path(work) / "model")
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        how = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"{work}/model", *how]
        # It starts uvicorn by its name.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": str(THREADS)}
        with open(Path(work) / "log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            while not answers(f"http://127.0.0.1:{port}/ping"):
                if process.poll() is not None:
                    raise UserError((Path(work) / "log").read_text())
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=1).close()
        return True
    except OSError:
        return False


def over_http(address: str, exported: ExportedModel) -> Work:
    def work(batch: list[list[int]]) -> None:
        queries = [{"history": request.history, "top": TOP} for request in requests(exported, batch)]
        body = json.dumps({"inputs": queries}).encode()
        request = urllib.request.Request(address, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert len(json.load(answer)["predictions"]) == len(batch)

    return work


def trained(work: Path, users: int, items: int) -> Path:
    """A model of an epoch on synthetic data."""
    settings = [f"data.size={{users: {users}, items: {items}}}", "train.epochs=1"]
    command = [sys.executable, "-m", "fame.train", "--dataset", "synthetic", "--output", str(work)]
    subprocess.run([*command, *(word for setting in settings for word in ("--set", setting))], check=True)
    return work / "best"


def requests(exported: ExportedModel, batch: list[list[int]]) -> list[Request]:
    ids = exported.catalogue.ids
    return [Request(history=[ids[number - 1] for number in history], top=TOP) for history in batch]


def rows_of_model(folder: Path, rounds: int, many: int) -> list[Row]:
    exported = load_model(folder)
    users = histories(exported, USERS)
    own = Recommender(exported)
    size = f"{len(exported.catalogue.ids):,} items"
    rows = rows_of(size, lambda batch: own.recommend(requests(exported, batch)), users, rounds)
    with served(folder) as address:
        rows += rows_of(f"{size}, HTTP", over_http(address, exported), users, rounds)

    large = Recommender(enlarged(exported, many))
    size = f"{many:,} items"
    rows += rows_of(size, lambda batch: large.recommend(requests(exported, batch)), users, rounds)
    queries_BD, _ = large.queries(users)
    began = time.perf_counter()
    with torch.no_grad():
        found = measured(large.scorer.table_VD, queries_BD)
    rows.append(Row(what=f"{size}, making the index", value=time.perf_counter() - began, unit="s"))
    rows.append(Row(what=f"{size}, index, share of the exact top {TOP}", value=found.recall, at_least=0.99))
    large.index = found.index
    return rows + rows_of(f"{size}, index", lambda batch: large.recommend(requests(exported, batch)), users, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, help="folder that a training or a sweep exported")
    parser.add_argument("--rounds", type=int, default=200, help="users asked alone (default: %(default)s)")
    add_tiny(parser)
    args = parser.parse_args()
    (users, items), many = TINY if args.tiny else (SIZE, MILLION)
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as work:
        folder = args.model or trained(Path(work), users, items)
        settings = {"threads": THREADS, "top": TOP, "model": to_dict(load_model(folder).experiment)["model"]}
        publish("serving", rows_of_model(folder, args.rounds, many), settings, args.tiny)


if __name__ == "__main__":
    run_command(main)
