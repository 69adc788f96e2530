"""The engine with which a sweep on a cluster reads large data: Ray Data reads the files on all machines.

A row of the Ray dataset is a file. The driver takes the chunks in the order of the files, and goes on by itself where a
machine cannot read a file.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from fame.datasets.entry import ChunkSource, Report
from fame.datasets.preparation.chunks import BrokenOff, Elsewhere, Engine, FileReader
from tuning.machines.local_ray import first_line
from tuning.machines.ray_data import connected, parts_of
from tuning.machines.resources import found


def engine(address: str, report: Report) -> Engine:
    """Return the engine of the cluster at an address. It reads where there are several files and machines."""

    def read(reader: FileReader, files: Sequence[ChunkSource]) -> Elsewhere:
        if len(files) < 2:
            return
        with connected(address):
            machines = sum(node.cpus > 0 for node in found())
            if machines < 2:
                return
            report(f"Ray Data reads {len(files):,} files on the cluster's {machines} machines")
            yield from _read(reader, files, report)

    return read


def _read(reader: FileReader, files: Sequence[ChunkSource], report: Report) -> Elsewhere:
    """Yield what the machines found, and report why some files are read here."""
    import ray
    from ray import cloudpickle

    rows = [{"number": number, "file": cloudpickle.dumps(file)} for number, file in enumerate(files)]
    broken: list[str] = []
    try:
        for row in parts_of(rows, in_order=True).flat_map(partial(_read_file, reader)).iter_rows():
            item = pickle.loads(row["found"])
            if isinstance(item, BrokenOff):
                broken.append(item.reason)
            yield row["number"], item
    except ray.exceptions.RayError as error:
        why = first_line(getattr(error, "cause", None) or error)
        report(f"Ray Data broke off ({why}); the files that are left are read on this machine")
    if broken:
        report(f"{len(broken):,} of {len(files):,} files are read on this machine; another one said: {broken[0]}")


def _read_file(reader: FileReader, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in reader.alone(pickle.loads(row["file"])):
        yield {"number": row["number"], "found": pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL)}
