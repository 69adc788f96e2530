"""Training: resumed is the same as uninterrupted, two workers are the same as one, and it learns."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

import fame.training.fit
from fame.config import Experiment
from fame.datasets.batches import Batcher, device_values
from fame.datasets.sequences import Sequences, training_windows
from fame.errors import DivergedError, UserError
from fame.evaluation.evaluator import Evaluator
from fame.evaluation.final import evaluate_weights
from fame.losses.objective import Softmax
from fame.registry import models
from fame.runtime.parallel import Workers
from fame.training.fit import CHECKPOINT, can_go_on, experiment_key, fit, read_trained
from fame.training.loop import EpochReport, StageRun
from fame.training.shared_stages import read_uses
from fame.training.stages import stages
from tests.fame.gloo import gloo_processes
from tests.fame.helpers import CPU, experiment, same_tensors, sequences_of, timeless
from tests.fame.training.runs import (
    SAMPLE,
    TWO_STAGES,
    WORKER_RUNS,
    assert_same_training,
    tensors_in,
    worker_data,
)


@pytest.fixture
def start(single, tiny):
    """`fit` on the tiny data with one CPU worker."""

    def call(settings: Experiment, folder: Path, sequences: Sequences = tiny, **more) -> Iterator[EpochReport]:
        return fit(settings, sequences, folder, single, **more)

    return call


# ---- Resuming.


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train": {"mode": "prefix", "warmup_steps": 9, "schedule": "cosine"}},
        {"train": {"loss": "sampled_softmax", "negatives": 8, "weight_decay": 0.01}},
        {"train": {"loss": "gbce", "negatives": 8, "mode": "prefix", "optimizer": "adamw", "weight_decay": 0.01}},
    ],
)
def test_six_epochs_are_three_a_crash_and_three(changes, start, tmp_path):
    settings = experiment(**changes)
    straight = [timeless(report) for report in start(settings, tmp_path / "straight")]
    first = start(settings, tmp_path / "crashed")
    reports = [timeless(next(first)) for _ in range(3)]
    del first
    rest = [timeless(report) for report in start(settings, tmp_path / "crashed")]
    assert [report["epoch"] for report in rest] == [4, 5, 6]
    assert reports + rest == straight
    assert_same_training(tmp_path / "straight", tmp_path / "crashed")


@pytest.mark.parametrize("crashed_after", [1, 2, 3])
def test_two_stages_can_crash_after_any_epoch(crashed_after, start, tmp_path):
    list(start(TWO_STAGES, tmp_path / "straight"))
    first = start(TWO_STAGES, tmp_path / "crashed")
    for _ in range(crashed_after):
        next(first)
    del first
    assert [r.epoch for r in start(TWO_STAGES, tmp_path / "crashed")] == list(range(crashed_after + 1, 5))
    assert_same_training(tmp_path / "straight", tmp_path / "crashed")


def test_a_crash_in_the_middle_of_an_epoch_repeats_that_epoch(start, tmp_path):
    settings = experiment(train={"epochs": 3, "batch_size": 8})
    list(start(settings, tmp_path / "straight"))
    steps = 0

    def crash(done: int, of: int) -> None:
        nonlocal steps
        steps += 1
        if steps == of + of // 2 + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(start(settings, tmp_path / "crashed", on_step=crash))
    assert [report.epoch for report in start(settings, tmp_path / "crashed")] == [2, 3]
    assert_same_training(tmp_path / "straight", tmp_path / "crashed")


def test_a_crash_while_the_checkpoint_is_written_repeats_the_epoch(start, tmp_path, monkeypatch):
    settings = experiment(train={"epochs": 3})
    list(start(settings, tmp_path / "straight"))
    save, calls = fame.training.fit.save_checkpoint, []

    def fails_the_second_time(*arguments) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("No space left on device")
        save(*arguments)

    monkeypatch.setattr(fame.training.fit, "save_checkpoint", fails_the_second_time)
    with pytest.raises(OSError, match="No space"):
        list(start(settings, tmp_path / "crashed"))
    assert [report.epoch for report in start(settings, tmp_path / "crashed")] == [2, 3]
    assert_same_training(tmp_path / "straight", tmp_path / "crashed")


def test_a_finished_training_yields_nothing_and_changes_nothing(start, tmp_path):
    settings = experiment(train={"epochs": 1})
    assert [report.finished for report in start(settings, tmp_path)] == [True]
    before = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    assert list(start(settings, tmp_path)) == []
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"train": {"lr": 0.02}}, {"data": {"fingerprint": "other"}}, {"model": {"experts": 2}}]
)
def test_the_checkpoint_of_another_experiment_is_refused(changes, start, tmp_path):
    next(start(experiment(), tmp_path))
    with pytest.raises(UserError, match="belongs to another experiment"):
        next(start(experiment(**changes), tmp_path))


@pytest.mark.parametrize("changes", [{"train": {"threads": 3}}, {"data": {"dir": "/elsewhere"}}])
def test_where_and_with_how_many_threads_it_ran_makes_no_other_experiment(changes, start, tmp_path):
    next(start(experiment(), tmp_path))
    assert next(start(experiment(**changes), tmp_path)).epoch == 2
    assert experiment_key(experiment(**changes)) == experiment_key(experiment())


def test_a_training_at_a_constant_rate_can_be_given_more_epochs(start, tmp_path):
    short, long = (experiment(train={"epochs": epochs, "patience": 0}) for epochs in (3, 6))
    straight = [*start(long, tmp_path / "straight")]
    assert [report.finished for report in start(short, tmp_path / "longer")] == [False, False, True]
    assert not can_go_on(read_trained(tmp_path / "longer"), 3) and can_go_on(read_trained(tmp_path / "longer"), 6)
    rest = [*start(long, tmp_path / "longer")]
    assert [*map(timeless, rest)] == [*map(timeless, straight[3:])]
    same = [timeless(report) | {"finished": None} for report in read_trained(tmp_path / "longer").history]
    assert same == [timeless(report) | {"finished": None} for report in straight]
    assert same_tensors(tensors_in(tmp_path / "straight"), tensors_in(tmp_path / "longer"))


def test_a_training_whose_rate_has_fallen_cannot(start, tmp_path):
    short, long = (experiment(train={"epochs": epochs, "schedule": "linear"}) for epochs in (1, 2))
    [*start(short, tmp_path)]
    assert not can_go_on(read_trained(tmp_path), 2)
    with pytest.raises(UserError, match="belongs to another experiment"):
        next(start(long, tmp_path))


def test_a_damaged_checkpoint_is_an_error_and_not_a_fresh_start(start, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"\0" * 100)
    with pytest.raises(UserError, match="damaged"):
        next(start(experiment(), tmp_path))


# ---- What an epoch does.


def test_the_loss_falls_and_the_model_learns_the_next_item(start, tmp_path):
    quiet = {"dim": 16, "dropout": 0.0, "attention_dropout": 0.0}
    reports = list(start(experiment(model=quiet, train={"epochs": 15}), tmp_path))
    assert reports[-1].loss < 0.5 * reports[0].loss
    assert reports[-1].validation["ndcg@5"] > 0.7  # a random order of 30 items: 0.1


def test_the_seed_decides_the_result(start, tmp_path):
    ones = experiment(train={"epochs": 1})
    results = [next(start(s, tmp_path / str(i))).loss for i, s in enumerate([ones, ones, experiment(seed=1)])]
    assert results[0] == results[1] != results[2]


def test_dropout_differs_between_epochs_and_is_off_in_validation(start, tmp_path):
    alike = sequences_of([[1, 2, 3, 4, 5, 6]] * 10)  # so that the order of the rows is no difference
    first, second = start(experiment(train={"lr": 1e-30, "epochs": 2}), tmp_path, alike)
    assert first.loss != second.loss
    assert first.validation == second.validation


@pytest.mark.parametrize("mode", ["all", "prefix"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_an_epoch_of_one_batch_is_one_step_written_by_hand(mode, optimizer, start, single, tiny, tmp_path):
    settings = experiment(
        model={"dropout": 0.0, "attention_dropout": 0.0},
        train={
            "epochs": 1, "batch_size": 1000, "mode": mode, "optimizer": optimizer, "weight_decay": 0.1, "clip_norm": 0.01
        },
    )  # fmt: skip
    (report,) = start(settings, tmp_path)

    torch.manual_seed(0)
    model = models.get("fame")(settings.model, tiny.item_count, 6)
    batcher = Batcher(device_values(tiny, CPU), training_windows(tiny, mode, 6))
    (batch,) = batcher.epoch(1000, np.random.default_rng(0))
    loss = model(batch, Softmax("float32")) / len(batch.targets_R)
    loss.backward()
    assert report.loss == pytest.approx(loss.item(), rel=1e-6)
    norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
    assert norm > 0.01
    trained = {k.removeprefix("model."): v for k, v in tensors_in(tmp_path).items() if k.startswith("model.")}
    for name, weight in model.named_parameters():
        gradient = weight.grad * (0.01 / norm)
        if optimizer == "adam":
            gradient = gradient + 0.1 * weight.detach()
        expected = weight.detach() * (1 - 0.01 * 0.1 * (optimizer == "adamw"))
        # The first step of Adam: both moments, corrected for their start, are the gradient and its square.
        expected = expected - 0.01 * gradient / (gradient.abs() + 1e-8)
        if gradient.abs().min() > 1e-5:  # where the sign of the gradient is beyond rounding
            torch.testing.assert_close(trained[name], expected, rtol=1e-3, atol=1e-6)
        else:
            clear = gradient.abs() > 1e-5
            torch.testing.assert_close(trained[name][clear], expected[clear], rtol=1e-3, atol=2e-5)


def learning_rates(settings: Experiment, single, sequences) -> list[float]:
    run = StageRun(settings, stages(settings)[-1], sequences, single, {}, None)
    rates, step = [], run.optimizer.step
    run.optimizer.step = lambda: (rates.append(run.optimizer.param_groups[0]["lr"]), step())
    for index in range(settings.train.epochs):
        run.train_epoch(index + 1, index)
    return rates


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, [1, 1, 1, 1]),
        ("linear", 0, [1, 3 / 4, 1 / 2, 1 / 4]),
        ("cosine", 0, [1, (1 + 2**-0.5) / 2, 1 / 2, (1 - 2**-0.5) / 2]),
        ("constant", 2, [1 / 2, 1, 1, 1]),
        ("constant", 8, [1 / 8, 2 / 8, 3 / 8, 4 / 8]),
        ("linear", 2, [1 / 2, 3 / 4, 1 / 2, 1 / 4]),
    ],
)
def test_the_learning_rate_of_each_step(schedule, warmup, expected, single):
    sequences = sequences_of([[1, 2, 3, 4, 5]] * 4)
    settings = experiment(train={"epochs": 2, "batch_size": 2, "lr": 0.1, "schedule": schedule, "warmup_steps": warmup})
    assert learning_rates(settings, single, sequences) == pytest.approx([0.1 * factor for factor in expected])


def test_bfloat16_products_train_like_float32_ones(start, tmp_path):
    last = {}
    for precision in ("float32", "bfloat16"):
        settings = experiment(
            train={"epochs": 8, "precision": precision}, model={"dropout": 0.0, "attention_dropout": 0.0}
        )
        reports = list(start(settings, tmp_path / precision))
        last[precision] = reports[-1].loss
        assert reports[-1].loss < 0.8 * reports[0].loss
    # 2⁻⁹ is the rounding of one product; the paths of training part slowly, and the losses stay within a per cent.
    assert last["bfloat16"] == pytest.approx(last["float32"], rel=0.01)
    assert last["bfloat16"] != last["float32"]


def test_a_diverged_loss_is_an_error_that_says_what_to_change(start, tmp_path):
    settings = experiment(train={"lr": 1e30, "clip_norm": 0.0})
    with pytest.raises(DivergedError, match=r"lower train\.lr or set train\.clip_norm"):
        list(start(settings, tmp_path))
    assert not (tmp_path / CHECKPOINT).exists()


def test_users_without_a_training_pair_are_one_clear_line(start, tmp_path):
    with pytest.raises(UserError, match="four interactions"):
        next(start(experiment(), tmp_path, sequences_of([[1, 2, 3], [2, 3, 1]])))
    assert not (tmp_path / CHECKPOINT).exists()


def test_reports_count_targets_and_padding(start, tiny, tmp_path):
    (report,) = start(experiment(train={"epochs": 1}), tmp_path)
    windows = training_windows(tiny, "all", 6)
    assert report.items_per_second * report.train_seconds == pytest.approx(windows.lengths.sum())
    assert 0 < report.padding < 0.2
    assert (report.stage, report.epoch, report.best_epoch) == ("fame", 1, 1)
    assert report.best == report.validation["ndcg@10"]


def test_each_epoch_has_an_order_of_its_own_that_the_seed_repeats(start, tmp_path, monkeypatch):
    met, form = [], Batcher.batch
    monkeypatch.setattr(
        Batcher,
        "batch",
        lambda self, starts, *more, **fields: (met.append(tuple(starts.tolist())), form(self, starts, *more, **fields))[
            1
        ],
    )
    for run in ("one", "two"):
        list(start(experiment(train={"epochs": 2, "batch_size": 4}), tmp_path / run))
    steps = len(met) // 4
    epochs = [met[i * steps : (i + 1) * steps] for i in range(4)]
    assert epochs[0] != epochs[1]
    assert epochs[:2] == epochs[2:]


def test_every_step_is_announced(start, tmp_path):
    calls = []
    settings = experiment(train={"epochs": 2, "batch_size": 20})
    list(start(settings, tmp_path, on_step=lambda done, of: calls.append((done, of))))
    steps = calls[0][1]
    assert calls == [(n, steps) for n in range(1, steps + 1)] * 2


# ---- Early stopping, best weights, stages.


def scripted(monkeypatch, values: list[float]) -> None:
    """Makes the validation metric of each epoch what it is said to be."""
    iterator = iter(values)
    monkeypatch.setattr(Evaluator, "metrics_and_error", lambda *_: ({"ndcg@10": next(iterator)}, None))


def test_training_stops_after_patience_epochs_without_a_better_metric(start, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.25, 0.9])
    reports = list(start(experiment(train={"patience": 3}), tmp_path))
    assert [report.best for report in reports] == [0.1, 0.3, 0.3, 0.3, 0.3]
    assert [report.best_epoch for report in reports] == [1, 2, 2, 2, 2]
    assert [report.finished for report in reports] == [False] * 4 + [True]


def test_patience_zero_never_stops(start, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    assert len(list(start(experiment(train={"patience": 0}), tmp_path))) == 6


@pytest.mark.parametrize("crashed_after", [None, 1, 2, 3])
def test_the_weights_kept_are_those_of_the_best_epoch(crashed_after, start, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.2, 0.1, 0.1])
    best = tmp_path / "best"
    list(start(experiment(train={"epochs": 2}), best))
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.2, 0.1, 0.1])
    run = start(experiment(train={"epochs": 4}), tmp_path / "all")
    for _ in range(crashed_after or 0):
        next(run)
    list(start(experiment(train={"epochs": 4}), tmp_path / "all") if crashed_after else run)
    trained = read_trained(tmp_path / "all")
    assert trained.history[-1].best_epoch == 2
    expected = {k.removeprefix("model."): v for k, v in tensors_in(best).items() if k.startswith("model.")}
    assert same_tensors(trained.weights, expected)


def test_the_backbone_is_trained_first_and_the_model_starts_from_its_best_weights(start, tiny, tmp_path):
    settings = experiment(
        train={"epochs": 1, "lr": 1e-30}, backbone={"epochs": 2, "noise": 0.0}, model={"dropout": 0.0}
    )
    run = start(settings, tmp_path)
    assert [(r.stage, r.epoch, r.finished) for r in (next(run), next(run))] == [
        ("backbone", 1, False), ("backbone", 2, False)
    ]  # fmt: skip
    between = read_trained(tmp_path)
    assert not between.reached_model
    (last,) = run
    assert (last.stage, last.epoch, last.best_epoch, last.finished) == ("fame", 3, 3, True)
    after = read_trained(tmp_path)
    assert after.reached_model
    assert after.experiment == settings
    for key in ("items.weight", "blocks.0.attention.query.weight", "blocks.1.attention.key_value.weight"):
        assert torch.equal(after.weights[key], between.weights[key])


def test_the_backbone_has_its_own_epochs_and_learning_rate_and_the_models_shape():
    backbone, final = stages(TWO_STAGES)
    assert (backbone.name, backbone.model.name, final.name) == ("backbone", "sasrec", "fame")
    assert (backbone.train.epochs, backbone.train.lr) == (2, 0.02)
    assert (final.train.epochs, final.train.lr) == (2, 0.01)
    assert (backbone.model.dim, backbone.model.dropout) == (8, 0.2)


def test_early_stopping_of_the_backbone_goes_on_to_the_model(start, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.3, 0.2, 0.1, 0.1])
    settings = experiment(train={"epochs": 2, "patience": 1}, backbone={"epochs": 5})
    reports = list(start(settings, tmp_path))
    assert [(r.stage, r.finished) for r in reports] == [
        ("backbone", False), ("backbone", False), ("fame", False), ("fame", True)
    ]  # fmt: skip
    assert [report.best for report in reports] == [0.3, 0.3, 0.1, 0.1]


# ---- Two workers.


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory) -> tuple[Path, list[dict]]:
    """Return the folder of two gloo processes (`two_workers.py`), and the results of each rank."""
    folder = tmp_path_factory.mktemp("workers")
    return folder, gloo_processes("tests.fame.two_workers", folder)


@pytest.mark.parametrize("name", WORKER_RUNS)
def test_two_workers_train_and_validate_like_one(name, two_workers, start, tmp_path):
    alone = list(start(WORKER_RUNS[name], tmp_path, worker_data()))
    for results in two_workers[1]:
        for report, expected in zip(results[name], alone, strict=True):
            assert report["loss"] == pytest.approx(expected.loss, rel=1e-5)
            assert report["validation"] == pytest.approx(expected.validation, abs=1e-5)
    together, weights = read_trained(two_workers[0] / name).weights, read_trained(tmp_path).weights
    for key, weight in weights.items():
        if key.endswith("key_value.bias"):  # the keys' half has no gradient but rounding, which Adam makes large
            together[key], weight = together[key].chunk(2)[1], weight.chunk(2)[1]
        torch.testing.assert_close(together[key], weight, rtol=1e-3, atol=1e-4, msg=lambda m, key=key: f"{key}: {m}")


def test_a_training_with_a_sharded_table_resumes_exactly(two_workers):
    folder = two_workers[0]
    assert_same_training(folder / "crashed sharded", folder / "sharded")


def test_one_worker_goes_on_from_the_table_of_two(two_workers, start, tmp_path):
    alone = list(start(WORKER_RUNS["sharded"], tmp_path / "alone", worker_data()))
    shutil.copytree(two_workers[0] / "half", tmp_path / "resumed")
    whole = dataclasses.replace(WORKER_RUNS["sharded"].train, shard_items=False)
    resumed = list(start(dataclasses.replace(WORKER_RUNS["sharded"], train=whole), tmp_path / "resumed", worker_data()))
    assert [report.epoch for report in resumed] == [2]
    assert resumed[0].loss == pytest.approx(alone[1].loss, rel=1e-5)
    assert resumed[0].validation == pytest.approx(alone[1].validation, abs=1e-5)


def test_two_workers_evaluate_the_same_weights_to_the_same_number_as_one(two_workers, single):
    folder, results = two_workers
    model = models.get("fame")(WORKER_RUNS["all"].model, 20, 5)
    model.load_state_dict(read_trained(folder / "all").weights)
    for part in ("validation", "test"):
        alone = Evaluator(
            worker_data(), device_values(worker_data(), CPU), part, 5, WORKER_RUNS["all"].evaluate, single
        ).metrics(model)
        for result in results:
            assert result[f"evaluate {part}"] == pytest.approx(alone, abs=1e-12)


def test_two_workers_validate_the_same_sample_to_the_same_error_as_one(two_workers, single):
    folder, results = two_workers
    model = models.get("fame")(WORKER_RUNS["all"].model, 20, 5)
    model.load_state_dict(read_trained(folder / "all").weights)
    values, config = device_values(worker_data(), CPU), WORKER_RUNS["all"].evaluate
    alone = Evaluator(worker_data(), values, "validation", 5, config, single, ["ndcg@10"], SAMPLE)
    metrics, error = alone.metrics_and_error(model, "ndcg@10")
    for result in results:
        assert result["sample"] == [pytest.approx(metrics, abs=1e-12), pytest.approx(error, abs=1e-12)]


def test_epochs_validate_a_sample_whatever_the_seed_and_the_export_has_all_users(start, tmp_path):
    data, users = worker_data(), []
    for seed in (0, 1):
        settings = experiment(train={"epochs": 2, "validation_users": SAMPLE}, seed=seed)
        reports = list(start(settings, tmp_path / str(seed), data))
        assert all(report.standard_error > 0 for report in reports)
        assert read_trained(tmp_path / str(seed)).history == reports
        run = StageRun(settings, stages(settings)[0], data, Workers(device=CPU), {}, None)
        users.append(run.evaluator.users.tolist())
    assert users[0] == users[1] and len(users[0]) == SAMPLE
    weights = read_trained(tmp_path / "1").weights
    final = evaluate_weights(settings, Mock(sequences=data), weights, Workers(device=CPU), lists=False)
    assert {part: len(ranks) for part, ranks in final.ranks.items()} == {"validation": 37, "test": 37}
    (report,) = start(experiment(train={"epochs": 1}), tmp_path / "all", data)
    assert report.standard_error is None


def test_workers_agree_on_weights_and_reports(two_workers):
    first, second = two_workers[1]
    assert first == second


def test_two_workers_resume_to_the_same_bits_with_dropout(two_workers):
    assert_same_training(two_workers[0] / "straight", two_workers[0] / "crashed")


def test_two_workers_take_over_what_two_workers_computed(two_workers):
    folder, results = two_workers
    assert_same_training(folder / "computed", folder / "taken over")
    for result in results:
        assert result["computed"] == result["taken over"]
    assert [[use.shared for use in read_uses(folder / name)] for name in ("computed", "taken over")] == [
        [False],
        [True],
    ]


def test_workers_that_all_see_bad_scores_all_raise_and_none_waits(two_workers):
    assert [result["bad scores"] for result in two_workers[1]] == ["DivergedError", "DivergedError"]
