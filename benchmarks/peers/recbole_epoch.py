"""Times a model of RecBole 1.2.1, with RecBole's own dataset, loaders, model and trainer, as a speed peer.

RecBole needs older packages than this project, so it gets an environment of its own (Python 3.11, CPU). Its
declared dependencies ray, thop, plotly and tabulate are left out: what is imported here does not use them.

    python3.11 -m venv /tmp/recbole-venv
    /tmp/recbole-venv/bin/pip install --no-deps recbole==1.2.1
    /tmp/recbole-venv/bin/pip install torch==2.13.0 numpy==1.26.4 scipy==1.11.4 pandas==2.1.4 scikit-learn==1.9.1 \
        tqdm==4.70.1 colorlog==4.7.2 colorama==0.4.4 pyyaml==6.0.3 tensorboard==2.21.0 texttable==1.7.2 psutil==7.2.2
    OMP_NUM_THREADS=1 /tmp/recbole-venv/bin/python benchmarks/peers/recbole_epoch.py --data FOLDER

FOLDER holds `values.npy` (int32 [P], items 1..V) and `offsets.npy` (int64 [U+1]): the history of user u is
values[offsets[u]:offsets[u+1]], oldest first. The result is one line of JSON. Preparing the dataset is not timed,
nor is one first training step (it pays for allocations once, not once an epoch). RecBole differs from `fame` in
two points: its rankings keep the items of the history (it has no switch for sequential models), and of a user
with three items it trains on the second, and does not validate. All its models train on a row for each pair, BERT4Rec too.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import pandas as pd
    import recbole
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.data.dataloader import FullSortEvalDataLoader, TrainDataLoader
    from recbole.trainer import Trainer
    from recbole.utils import get_model, init_seed
except ImportError as error:
    sys.exit(f"{error}; RecBole needs an environment of its own: see the top of {__file__}")

NAME = "peer"
"""Name of the dataset, and so of its folder and its file."""
SEED = 2020
MODELS = ("SASRec", "GRU4Rec", "BERT4Rec", "CORE")
MIN_ITEMS = 3
"""Of a user: one to learn from, one for validation, one for the test."""


def main() -> None:
    args = arguments()
    # RecBole takes the command line for settings of its own
    del sys.argv[1:]
    torch.set_num_threads(args.threads)
    values, offsets = read_sequences(args.data.resolve())
    # the trainer leaves TensorBoard logs in the working directory
    with tempfile.TemporaryDirectory(prefix="recbole-") as folder, contextlib.chdir(folder):
        write_interactions(Path(folder, NAME), values, offsets)
        config = Config(model=args.model, dataset=NAME, config_dict=settings(args, folder))
        init_seed(config["seed"], config["reproducibility"])
        dataset = create_dataset(config)
        train_data, valid_data, _ = data_preparation(config, dataset)
        # the model's constructor asks for the whole dataset's sizes
        trainer = Trainer(config, get_model(args.model)(config, train_data.dataset))
        result = {
            "benchmark": "recbole_epoch",
            "users": dataset.user_num - 1,
            "items": dataset.item_num - 1,
            **time_training(trainer, train_data, args.train_steps),
            **time_evaluation(trainer, valid_data, args.evaluate_users),
            "settings": {k: v for k, v in vars(args).items() if k != "data"},
            "versions": versions(),
            "cpus": len(os.sched_getaffinity(0)),
            "machine": platform.machine(),
        }
    print(json.dumps(result))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with values.npy and offsets.npy")
    parser.add_argument("--model", choices=MODELS, default="SASRec", help="which (default: %(default)s)")
    parser.add_argument("--threads", type=positive, default=1, help="threads of PyTorch (default: %(default)s)")
    parser.add_argument("--dim", type=positive, default=64, help="width (default: %(default)s)")
    parser.add_argument("--layers", type=positive, default=2, help="transformer layers (default: %(default)s)")
    parser.add_argument("--heads", type=positive, default=2, help="attention heads (default: %(default)s)")
    parser.add_argument("--max-length", type=positive, default=50, help="items of a history (default: %(default)s)")
    parser.add_argument("--batch-size", type=positive, default=2048, help="pairs of a step (default: %(default)s)")
    parser.add_argument(
        "--eval-batch-size", type=positive, default=4096, help="users ranked at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--train-steps", type=natural, default=0, help="steps to time, of random pairs; 0: the whole epoch (default)"
    )
    parser.add_argument(
        "--evaluate-users", type=natural, default=0, help="random users to time, rounded up to whole batches; 0: all"
    )
    args = parser.parse_args()
    if args.dim % args.heads:
        parser.error(f"--dim {args.dim} must be a multiple of --heads {args.heads}")
    return args


def natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def positive(text: str) -> int:
    if natural(text) == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def read_sequences(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Items of all users, and where each user's begin and end."""
    try:
        values, offsets = (np.load(folder / f"{name}.npy") for name in ("values", "offsets"))
    except (OSError, ValueError) as error:
        sys.exit(f"cannot read values.npy and offsets.npy in {folder}: {error}")
    if values.ndim != 1 or offsets.ndim != 1 or len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(values):
        sys.exit(f"{folder}: offsets.npy must go from 0 to the length of values.npy, both of one dimension")
    if np.diff(offsets).min() < MIN_ITEMS:
        sys.exit(f"{folder}: every user needs at least {MIN_ITEMS} items")
    if values.min() < 1:
        sys.exit(f"{folder}: items are numbered from 1, but values.npy has a {values.min()}")
    return values, offsets


def write_interactions(folder: Path, values: np.ndarray, offsets: np.ndarray) -> None:
    """RecBole's atomic file; the position in the history serves as time."""
    lengths = np.diff(offsets)
    columns = {
        "user_id:token": np.repeat(np.arange(1, len(lengths) + 1), lengths),
        "item_id:token": values,
        "timestamp:float": np.arange(len(values)) - np.repeat(offsets[:-1], lengths),
    }
    folder.mkdir()
    pd.DataFrame(columns).to_csv(folder / f"{folder.name}.inter", sep="\t", index=False)


def settings(args: argparse.Namespace, folder: str) -> dict[str, object]:
    return {
        "data_path": folder,
        "checkpoint_dir": str(Path(folder, "saved")),
        # no name of a GPU is how RecBole is told to stay on the CPU
        "gpu_id": "",
        "use_gpu": False,
        "seed": SEED,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "MAX_ITEM_LIST_LENGTH": args.max_length,
        "embedding_size": args.dim,
        "hidden_size": 2 * args.dim if args.model == "GRU4Rec" else args.dim,
        "inner_size": 4 * args.dim,
        "n_layers": args.layers,
        "n_heads": args.heads,
        "hidden_dropout_prob": 0.5,
        "attn_dropout_prob": 0.5,
        "dropout_prob": 0.5,
        "train_batch_size": args.batch_size,
        "eval_batch_size": args.eval_batch_size,
        # what `fame` measures by default
        "metrics": ["Hit", "NDCG"],
        "topk": [5, 10, 20],
        "valid_metric": "NDCG@10",
    }


def time_training(trainer: Trainer, data: TrainDataLoader, steps: int) -> dict[str, float]:
    """Time the first `steps` batches of a shuffled epoch (0: all): they are random ones, as any others."""
    steps = min(steps, len(data)) or len(data)
    pairs = data.sample_size
    timed = min(steps * data.step, pairs)
    trainer._train_epoch(itertools.islice(data, 1), 0)
    loss, seconds, cpu_seconds = measure(lambda: trainer._train_epoch(itertools.islice(data, steps), 1))
    return {
        "train_pairs": pairs,
        "train_pairs_timed": timed,
        "train_seconds": round(seconds, 3),
        "train_cpu_seconds": round(cpu_seconds, 3),
        "train_seconds_per_pair": seconds / timed,
        "train_seconds_per_epoch": round(seconds * pairs / timed, 2),
        "train_loss": round(loss / steps, 4),
    }


def time_evaluation(trainer: Trainer, data: FullSortEvalDataLoader, users: int) -> dict[str, float]:
    """Time the ranking of `users` random users (0: all)."""
    total = data.sample_size
    # a smaller batch than RecBole's would take less time for a user
    timed = min(math.ceil(users / data.step) * data.step, total) or total
    if timed < total:
        data = random_part(data, timed)
    metrics, seconds, cpu_seconds = measure(lambda: trainer.evaluate(data, load_best_model=False))
    return {
        "evaluate_users": total,
        "evaluate_users_timed": timed,
        "evaluate_seconds": round(seconds, 3),
        "evaluate_cpu_seconds": round(cpu_seconds, 3),
        "evaluate_seconds_per_user": seconds / timed,
        "evaluate_seconds_all": round(seconds * total / timed, 2),
        "ndcg@10": float(metrics["ndcg@10"]),
    }


def measure(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What `work` returns, its seconds, and its CPU seconds (on one thread, fewer mean a busy machine)."""
    began, began_cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - began, time.process_time() - began_cpu


def random_part(data: FullSortEvalDataLoader, users: int) -> FullSortEvalDataLoader:
    """A loader of some users only: this kind of loader never shuffles, so its first ones would be special."""
    chosen = np.random.default_rng(SEED).permutation(data.sample_size)[:users]
    part = data.dataset.copy(data.dataset.inter_feat[chosen])
    return FullSortEvalDataLoader(data.config, part, data._sampler)


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "recbole": recbole.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pandas": pd.__version__,
    }


if __name__ == "__main__":
    main()
