"""The processes of one gloo group, for tests of several workers."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from fame.runtime.parallel import Workers
from tests.fame.helpers import CPU, ROOT


def gloo_processes(module: str, folder: Path, count: int = 2) -> list[Any]:
    """Run `python -m MODULE FOLDER RANK COUNT` for so many workers; what each leaves in `FOLDER/rankRANK.json`.

    Warnings are errors in them, as in tests.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-m", module, str(folder)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(count)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(count)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, "\n".join(errors)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(count)]


def run_worker(work: Callable[[Path, Workers], dict[str, Any]]) -> None:
    """Do a worker's part in the group that `gloo_processes` starts, and write down what `work` returns.

    The group's threads must end with it. One that lived on could let go of a tensor while Python ends, and abort.
    """
    folder, rank, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    workers = Workers.current(CPU)
    assert (workers.rank, workers.size) == (rank, size)
    results = work(folder, workers)
    distributed.barrier()
    gc.collect()  # DDP's cycles hold the group
    distributed.destroy_process_group()
    threads = [thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")]
    assert "pt_gloo_runloop" not in threads, f"The group's threads outlive it: {threads}."
    (folder / f"rank{rank}.json").write_text(json.dumps(results))
