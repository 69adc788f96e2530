"""A training starts from the text stage's vectors, and holds them as it is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from fame.artifacts import LocalFolder
from fame.artifacts.checkpoint import load_checkpoint
from fame.config import TextConfig
from fame.errors import UserError
from fame.models.fame import Fame, FameConfig
from fame.models.sasrec import SASRec, SASRecConfig
from fame.runtime.parallel import Workers
from fame.serving.export import export_model
from fame.serving.exported import load_model
from fame.text.start import ItemStart, text_recipe
from fame.training.fit import CHECKPOINT, fit, read_trained
from fame.training.loop import StageRun
from fame.training.shared_stages import items_from_text, read_uses
from fame.training.stages import stages
from tests.fame.helpers import CPU, experiment, same_tensors, timeless

HEADS, DIM = 2, 8


@pytest.fixture
def settings(tiny_bert):
    def make(text: dict | None = None, **sections):
        stage = {"encoder": str(tiny_bert), "epochs": 1, "batch_size": 64, "scale": 0.5, **(text or {})}
        sections = {"train": {"epochs": 2}, **sections}
        return experiment(data={"fingerprint": None}, text=stage, **sections)

    return make


@pytest.fixture
def table(synthetic):
    """A table whose first item is unknown."""
    generator = torch.Generator().manual_seed(0)
    known = torch.ones(len(synthetic.items), dtype=torch.bool)
    known[0] = False
    rows = torch.nn.functional.normalize(torch.randn(len(known), DIM, generator=generator), dim=1)
    return {"table_VD": rows * known[:, None], "known_V": known}


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("scale", [None, 1.0])
def test_before_any_sequence_training_head_h_scores_with_facet_h_alone(table, heads, scale):
    model = Fame(FameConfig(dim=DIM, heads=heads, facet_scale=scale), len(table["known_V"]), 6)
    model.start_from_items(**table)
    width, rows = DIM // heads, model.item_table()
    for h in range(heads):
        block = slice(h * width, (h + 1) * width)
        seen = rows @ model.facet_projection[:, block]
        torch.testing.assert_close(seen, rows[:, block] * (scale or heads))


@pytest.mark.parametrize(("model_class", "config"), [(SASRec, SASRecConfig), (Fame, FameConfig)])
def test_items_with_text_start_from_it_and_the_others_as_usual(table, model_class, config):
    torch.manual_seed(0)
    usual = model_class(config(dim=DIM), len(table["known_V"]), 6).items.weight.detach().clone()
    torch.manual_seed(0)
    model = model_class(config(dim=DIM), len(table["known_V"]), 6)
    model.start_from_items(**table)
    assert torch.equal(model.items.weight[:2], usual[:2])
    assert torch.equal(model.items.weight[2:], table["table_VD"][1:])


def start_of(settings, synthetic, index: int = 0, start: dict | None = None):
    text = items_from_text(settings, synthetic, Workers(device=CPU), Path(), None)
    run = StageRun(settings, stages(settings)[index], synthetic.sequences, Workers(device=CPU), start or {}, None, text)
    return run, text


def test_the_scale_is_the_norm_of_an_item_at_the_start(settings, synthetic):
    run, _ = start_of(settings({"scale": 0.3}), synthetic)
    norms = run.model.item_table().norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, 0.3))


def test_the_backbone_starts_from_text_and_the_model_from_the_backbone(settings, synthetic):
    both = settings(backbone={"epochs": 1})
    run, text = start_of(both, synthetic)
    assert torch.equal(run.model.item_table(), text.table_VD)
    trained = {key: value + 1 for key, value in run.model.state_dict().items()}
    second, _ = start_of(both, synthetic, 1, trained)
    assert torch.equal(second.model.item_table(), trained["items.weight"][1:])


@pytest.mark.parametrize("loss", ["softmax", "gbce"])
def test_the_item_table_is_frozen_in_the_first_epochs(settings, synthetic, tmp_path, loss):
    train = {"epochs": 3, "loss": loss, **({"negatives": 8} if loss == "gbce" else {})}
    frozen = settings({"freeze_epochs": 2}, train=train)
    _, text = start_of(frozen, synthetic)
    tables = []
    for _ in fit(frozen, synthetic.sequences, tmp_path, Workers(device=CPU), dataset=synthetic):
        tables.append(load_checkpoint(tmp_path / CHECKPOINT)[0]["model.items.weight"][1:])
    assert torch.equal(tables[0], text.table_VD) and torch.equal(tables[1], text.table_VD)
    assert not torch.equal(tables[2], text.table_VD)


def test_a_frozen_training_resumes_bit_for_bit(settings, synthetic, tmp_path):
    held = settings({"freeze_epochs": 1, "delta": 0.5, "smoothing": 0.2}, train={"epochs": 3})
    workers = Workers(device=CPU)
    straight = [timeless(r) for r in fit(held, synthetic.sequences, tmp_path / "a", workers, dataset=synthetic)]
    found = []
    for _ in range(3):
        found.append(timeless(next(fit(held, synthetic.sequences, tmp_path / "b", workers, dataset=synthetic))))
    assert found == straight
    assert same_tensors(read_trained(tmp_path / "a").weights, read_trained(tmp_path / "b").weights)


def test_soft_targets_reach_the_loss_of_both_stages(settings, synthetic, tmp_path):
    losses = {}
    for smoothing in (0.0, 0.2):
        soft = settings({"smoothing": smoothing}, train={"epochs": 1}, backbone={"epochs": 1})
        folder = tmp_path / str(smoothing)
        reports = fit(soft, synthetic.sequences, folder, Workers(device=CPU), dataset=synthetic)
        losses[smoothing] = [report.loss for report in reports]
    assert len(losses[0.0]) == 2
    assert all(soft > hard for soft, hard in zip(losses[0.2], losses[0.0], strict=True))


@pytest.mark.parametrize("sparse", [False, True])
def test_the_delta_decays_towards_the_content(table, sparse):
    """As if x = c + δ were two tensors and δ had a decoupled weight decay."""
    held = ItemStart(TextConfig(epochs=1, scale=2.0, delta=0.25), table)
    embedding = torch.nn.Embedding(len(table["known_V"]) + 1, DIM, padding_idx=0, sparse=sparse)
    before = embedding.weight.detach().clone()
    embedding(torch.tensor([1, 2, 3, 3])).sum().backward()
    held.hold(embedding, lr=0.1, frozen=False)
    content = torch.cat([torch.zeros(1, DIM), table["table_VD"] * 2.0])
    expected = content + (before - content) * (1 - 0.1 * 0.25)
    rows = torch.tensor([2, 3]) if sparse else torch.arange(2, len(before))
    torch.testing.assert_close(embedding.weight[rows], expected[rows])
    assert torch.equal(embedding.weight[:2], before[:2])  # the padding, and an item without text
    if sparse:
        assert torch.equal(embedding.weight[4:], before[4:])


def test_a_strong_delta_keeps_items_nearer_to_their_text(settings, synthetic, tmp_path):
    distances = []
    for number, delta in enumerate((0.0, 50.0)):
        held = settings({"delta": delta}, train={"epochs": 2, "lr": 0.01})
        _, text = start_of(held, synthetic)
        list(fit(held, synthetic.sequences, tmp_path / str(number), Workers(device=CPU), dataset=synthetic))
        weights = load_checkpoint(tmp_path / str(number) / CHECKPOINT)[0]["model.items.weight"][1:]
        distances.append(float((weights - text.table_VD).norm()))
    assert distances[1] < 0.7 * distances[0]


def test_without_a_dataset_the_error_says_what_is_missing(settings, synthetic, tmp_path):
    with pytest.raises(UserError, match="needs the items' text"):
        next(fit(settings(), synthetic.sequences, tmp_path, Workers(device=CPU)))


def test_a_count_of_all_facets_is_no_other_stage(settings, synthetic):
    def key(**text):
        return text_recipe(settings(text), synthetic).key(Workers(device=CPU))

    declared = len(synthetic.facets)
    assert key() == key(facet_count=declared) == key(facet_count=declared + 1) != key(facet_count=1)
    assert key(facets=["facet_1"]) == key(facets=["facet_1"], facet_count=2) != key()


def test_a_model_that_says_nothing_of_its_items_does_not_start_from_text(settings, monkeypatch):
    monkeypatch.setattr(SASRecConfig, "item_blocks", lambda self: None)
    with pytest.raises(UserError, match=r"text.epochs = 1: model 'fame' does not say"):
        settings()


def test_the_stage_is_off_by_default():
    assert not experiment().text.enabled
    assert TextConfig(plain=True).enabled and TextConfig(epochs=1).enabled


@pytest.mark.parametrize(
    "ignored",
    [
        {"temperature": 0.2},
        {"period": 2},
        {"scale": 2.0},
        {"freeze_epochs": 1},
        {"delta": 0.1},
        {"smoothing": 0.1},
        {"facet_count": 1},
    ],
)
def test_a_setting_of_a_stage_that_is_off_is_an_error(ignored):
    with pytest.raises(UserError, match=f"text.{next(iter(ignored))} = .* is ignored with text.epochs = 0"):
        TextConfig(**ignored)


@pytest.mark.parametrize("stage", [{}, {"epochs": 3}])
def test_whitening_belongs_to_the_plain_start(stage):
    with pytest.raises(UserError, match=r"text\.whitening = 0\.5: is ignored without text\.plain=true"):
        TextConfig(whitening=0.5, **stage)
    TextConfig(whitening=0.5, plain=True)


def test_what_text_there_is_may_be_said_in_any_case():
    TextConfig(facets=("brand",), columns=("title",), encoder="x")
    TextConfig(plain=True, scale=2.0, delta=0.1, freeze_epochs=3, smoothing=0.2)
    for wrong in ({"plain": True, "epochs": 3}, {"plain": True, "temperature": 0.2}):
        with pytest.raises(UserError, match=r"text\."):
            TextConfig(**wrong)
    assert dataclasses.replace(TextConfig(epochs=3), temperature=0.3).temperature == 0.3


def test_what_training_does_with_the_result_does_not_decide_it():
    def recipe(**text):
        return text_recipe(experiment(text={"epochs": 2, **text}))

    for changed in ({"scale": 2.0}, {"freeze_epochs": 3}, {"delta": 0.1}, {"smoothing": 0.2}):
        assert recipe(**changed) == recipe()
    for changed in ({"temperature": 0.2}, {"facets": ["brand"]}, {"facet_count": 1}, {"skip_layers": 1}):
        assert recipe(**changed) != recipe()
    assert text_recipe(experiment(text={"plain": True, "whitening": 0.5})) != text_recipe(
        experiment(text={"plain": True})
    )
    assert recipe(facets="brand, genres") == recipe(facets=["brand", "genres"])
    assert text_recipe(experiment()) is None


@pytest.mark.parametrize(
    ("text", "heads", "expected"),
    [
        ({}, 2, (("facet_0",), ("facet_1",))),
        ({}, 1, (("facet_0", "facet_1"),)),
        ({}, 4, (("facet_0",), ("facet_1",), (), ())),
        ({"facets": ["facet_1"]}, 2, (("facet_1",), ())),
        ({"epochs": 0, "plain": True, "batch_size": 256}, 2, ()),
    ],
)
def test_an_exported_model_knows_which_facets_each_head_learned(settings, synthetic, tmp_path, text, heads, expected):
    trained = settings(text, train={"epochs": 1}, model={"heads": heads})
    for _ in fit(trained, synthetic.sequences, tmp_path, Workers(device=CPU), dataset=synthetic):
        pass
    export_model(tmp_path / "best", read_trained(tmp_path), synthetic)
    assert load_model(tmp_path / "best").facets == expected


def test_trainings_share_the_stage_and_a_damaged_one_is_made_again(settings, synthetic, tmp_path, caplog):
    shared, workers = LocalFolder(tmp_path / "stages"), Workers(device=CPU)

    def trained(name: str, folder: LocalFolder | None, **text) -> list:
        reports = fit(settings(text), synthetic.sequences, tmp_path / name, workers, None, folder, synthetic)
        return [timeless(report) for report in reports]

    def uses(name: str) -> list[tuple[str, bool, bool]]:
        return [(use.stage, use.shared, use.rebuilt) for use in read_uses(tmp_path / name)]

    alone = trained("alone", None)
    assert trained("first", shared) == trained("second", shared) == alone
    assert uses("first") == [("text", False, False)] and uses("second") == [("text", True, False)]
    trained("other scale", shared, scale=0.25)
    trained("other temperature", shared, temperature=0.3)
    assert uses("other scale") == [("text", True, False)] and uses("other temperature") == [("text", False, False)]
    assert not caplog.messages
    for name in shared.names("text-"):
        content = bytearray((shared.path / name).read_bytes())
        content[-9] ^= 1  # one bit of a weight
        (shared.path / name).write_bytes(bytes(content))
    assert trained("third", shared) == alone
    assert uses("third") == [("text", False, True)]
    assert len(caplog.messages) == 1 and "is damaged" in caplog.messages[0]
    assert trained("fourth", shared) == alone and uses("fourth") == [("text", True, False)]


# ---- Labels, which come from the same item table.


@pytest.mark.parametrize("loss", ["softmax", "gbce"])
def test_a_training_with_labels_text_and_a_backbone_resumes_bit_for_bit_and_serves_from_its_folder(
    settings, synthetic, tmp_path, loss
):
    train = {"epochs": 2, "loss": loss, **({"negatives": 8} if loss == "gbce" else {})}
    held = settings({"freeze_epochs": 1}, model={"labels": True}, train=train, backbone={"epochs": 1})
    workers = Workers(device=CPU)
    straight = [timeless(r) for r in fit(held, synthetic.sequences, tmp_path / "a", workers, dataset=synthetic)]
    found = []
    for _ in range(3):
        found.append(timeless(next(fit(held, synthetic.sequences, tmp_path / "b", workers, dataset=synthetic))))
    assert found == straight
    trained = read_trained(tmp_path / "a")
    assert same_tensors(trained.weights, read_trained(tmp_path / "b").weights)
    assert trained.weights["labels.weight"][1:].any() and not trained.weights["labels.weight"][0].any()
    metrics = export_model(tmp_path / "best", trained, synthetic)
    assert metrics["validation"]["ndcg@10"] == straight[-1]["best"]
    model = load_model(tmp_path / "best").model
    assert torch.equal(
        model.item_table(), model.items.weight[1:] + model.labels(torch.arange(1, len(synthetic.items) + 1))
    )


def test_a_backbone_with_labels_depends_on_the_item_table(settings, synthetic):
    labelled = settings({"epochs": 0, "batch_size": 256, "scale": 1.0}, model={"labels": True}, backbone={"epochs": 1})
    other = dataclasses.replace(synthetic, facets=synthetic.facets[:1])
    one, two = (stages(labelled, dataset)[0].recipe for dataset in (synthetic, other))
    assert one.key != two.key
