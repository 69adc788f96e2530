"""Times a model of RecBole 1.2.1, with RecBole's own dataset, loaders, model and trainer, as a speed peer.

RecBole needs older packages than this project, so it gets an environment of its own (Python 3.11, CPU). Its
declared dependencies ray, thop, plotly and tabulate are left out: what is imported here does not use them.

    python3.11 -m venv /tmp/recbole-venv
    /tmp/recbole-venv/bin/pip install --no-deps recbole==1.2.1
    /tmp/recbole-venv/bin/pip install torch==2.13.0 numpy==1.26.4 scipy==1.11.4 pandas==2.1.4 scikit-learn==1.9.1 \
        tqdm==4.70.1 colorlog==4.7.2 colorama==0.4.4 pyyaml==6.0.3 tensorboard==2.21.0 texttable==1.7.2 psutil==7.2.2
    OMP_NUM_THREADS=1 /tmp/recbole-venv/bin/python -m benchmarks.peers.recbole_epoch --data FOLDER

FOLDER is that of `benchmarks/peers/peer.py`. Preparing the dataset is not timed,
nor is one first training step (it pays for allocations once, not once an epoch). RecBole differs from `fame` in two
points. Its rankings keep the items of the history (it has no switch for sequential models). And of a user with three
items it trains on the second, and does not validate. All its models train on a row for each pair, BERT4Rec too.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.peer import about, measure, natural, options, positive, read_options, read_sequences

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
            **about(args, versions()),
        }
    print(json.dumps(result))


def arguments() -> argparse.Namespace:
    parser = options(__doc__, batch_size=2048, batch="pairs")
    parser.add_argument("--model", choices=MODELS, default="SASRec", help="which (default: %(default)s)")
    parser.add_argument(
        "--eval-batch-size", type=positive, default=4096, help="users ranked at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--evaluate-users", type=natural, default=0, help="random users to time, rounded up to whole batches; 0: all"
    )
    return read_options(parser)


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
    pairs, config = data.sample_size, data.config
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
        "train_cpu_seconds_per_epoch": round(cpu_seconds * pairs / timed, 2),
        "padding": 1 - float(data.dataset.inter_feat["item_length"].float().mean()) / config["MAX_ITEM_LIST_LENGTH"],
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


def random_part(data: FullSortEvalDataLoader, users: int) -> FullSortEvalDataLoader:
    """A loader of some users only: this kind of loader never shuffles, so its first ones would be special."""
    chosen = np.random.default_rng(SEED).permutation(data.sample_size)[:users]
    part = data.dataset.copy(data.dataset.inter_feat[chosen])
    return FullSortEvalDataLoader(data.config, part, data._sampler)


def versions() -> dict[str, str]:
    return {"recbole": recbole.__version__, "torch": torch.__version__, "pandas": pd.__version__}


if __name__ == "__main__":
    main()
