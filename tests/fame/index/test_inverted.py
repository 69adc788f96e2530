"""The index against exact scores, its file, and the command that makes it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint
from fame.config import Experiment
from fame.errors import UserError
from fame.index.inverted import INDEX, Index, check_sum, lengthened, write_index
from fame.serving import measure_index as measure
from fame.serving.recommender import load_recommender
from fame.serving.request import Request

faiss = pytest.importorskip("faiss", reason="no faiss-cpu: pip install faiss-cpu")


@pytest.fixture(scope="module")
def table_VD() -> Tensor:
    """Items around 40 places."""
    generator = torch.Generator().manual_seed(0)
    places = torch.randn(40, 16, generator=generator)
    chosen = torch.randint(40, (3000,), generator=generator)
    return places[chosen] + 0.3 * torch.randn(3000, 16, generator=generator)


def exact(table_VD: Tensor, queries_BD: Tensor, k: int) -> tuple[list[list[int]], Tensor]:
    best = (queries_BD @ table_VD.T).topk(k)
    return best.indices.tolist(), best.values


def test_reading_all_groups_is_exact(table_VD: Tensor) -> None:
    index, queries_BD = Index.build(table_VD), table_VD[:50] + 0.1
    index.probes = len(index.centres_LE)
    found, scores = index.search(queries_BD, 10)
    wanted, values = exact(table_VD, queries_BD, 10)
    assert found == wanted
    torch.testing.assert_close(torch.tensor(scores), values)


def test_every_item_is_in_the_group_of_its_nearest_centre(table_VD: Tensor) -> None:
    index = Index.build(table_VD)
    items_VE, length = lengthened(table_VD)
    assert np.linalg.norm(items_VE, axis=1) == pytest.approx(length, rel=1e-4)
    assert index.groups_V.tolist() == torch.cdist(torch.from_numpy(items_VE), index.centres_LE).argmin(1).tolist()


def test_few_groups_are_enough_for_queries_that_are_like_no_item() -> None:
    """Long, in directions of their own, and items of very different lengths: by the dot product with centres a third of the
    groups of a trained model found less than half of them."""
    generator = torch.Generator().manual_seed(0)
    table_VD = torch.randn(3000, 16, generator=generator) * torch.rand(3000, 1, generator=generator)
    queries_BD = 20 * (torch.randn(200, 16, generator=generator) + 1)
    index = Index.build(table_VD)
    index.probes = 64
    (found, _), (wanted, _) = index.search(queries_BD, 10), exact(table_VD, queries_BD, 10)
    assert sum(len({*ours} & {*theirs}) for ours, theirs in zip(found, wanted, strict=True)) > 0.93 * 2000


def test_a_group_may_have_fewer_items_than_are_asked_for(table_VD: Tensor) -> None:
    items_VE, _ = lengthened(table_VD[:5])
    index = Index(table_VD[:5], torch.from_numpy(items_VE[3:]), torch.tensor([0, 0, 0, 0, 1]), probes=1)
    found, scores = index.search(table_VD[4:5], 4)
    assert found == [[4]] and len(scores[0]) == 1


def test_recommendations_with_all_groups_are_the_exact_ones(exported: tuple[Path, Experiment]) -> None:
    folder, _ = exported
    plain = load_recommender(folder)
    assert plain.index is None
    index = Index.build(plain.scorer.table_VD)
    index.probes = len(index.centres_LE)
    write_index(folder, index, 1.0)
    quick = load_recommender(folder)
    assert quick.index is not None and quick.index.probes == index.probes
    histories = [[3, 4, 5], [], list(range(1, 30)), [7]]
    ids = plain.exported.catalogue.ids
    requests = [Request(history=[ids[number - 1] for number in history], top=5) for history in histories]
    for ours, theirs in zip(quick.recommend(requests), plain.recommend(requests), strict=True):
        assert [item.id for item in ours.items] == [item.id for item in theirs.items]
        assert ours.facets == theirs.facets
    for history, answer in zip(histories, quick.recommend(requests), strict=True):
        assert len(answer.items) == 5 and not {f"i{number - 1}" for number in history} & {i.id for i in answer.items}


@pytest.mark.parametrize(
    "harm",
    [
        lambda tensors, header: tensors.update(groups=tensors["groups"] + 10**6),
        lambda tensors, header: tensors.update(groups=-tensors["groups"] - 1),
        lambda tensors, header: tensors.update(groups=tensors["groups"][:-1].clone()),
        lambda tensors, header: tensors.update(groups=tensors["groups"].int()),
        lambda tensors, header: tensors.update(centres=tensors["centres"][:, 1:].clone()),
        lambda tensors, header: tensors.pop("centres"),
        lambda tensors, header: header.update(probes=0),
        lambda tensors, header: header.update(probes="4"),
        lambda tensors, header: header.update(model="another"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(exported: tuple[Path, Experiment], harm) -> None:
    folder, _ = exported
    write_index(folder, Index.build(load_recommender(folder).scorer.table_VD), 1.0)
    tensors, header = load_checkpoint(folder / INDEX)
    harm(tensors, header)
    save_checkpoint(folder / INDEX, tensors, header)
    with pytest.raises(UserError, match=r"make it again: python -m fame\.index"):
        load_recommender(folder)


def test_other_weights_have_another_check_sum(exported: tuple[Path, Experiment]) -> None:
    folder, _ = exported
    before = check_sum(folder)
    weights, header = load_checkpoint(folder / "model.safetensors")
    save_checkpoint(folder / "model.safetensors", {k: v + 1 for k, v in weights.items()}, header)
    assert check_sum(folder) != before


def test_without_faiss_one_line_says_what_to_do(
    exported: tuple[Path, Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = exported
    write_index(folder, Index.build(load_recommender(folder).scorer.table_VD), 1.0)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match="pip install faiss-cpu"):
        load_recommender(folder)


def test_groups_are_read_until_what_was_asked_for_is_found(table_VD: Tensor) -> None:
    queries_BD = table_VD[::10] + 0.1 * torch.randn(300, 16, generator=torch.Generator().manual_seed(1))
    outcome = measure.measured(table_VD, queries_BD)
    wanted, _ = exact(table_VD, queries_BD, 10)
    found, _ = outcome.index.search(queries_BD, 10)
    hits = sum(len({*ours} & {*theirs}) for ours, theirs in zip(found, wanted, strict=True))
    assert hits / 3000 == pytest.approx(outcome.recall) and outcome.recall >= measure.RECALL
    assert outcome.index.probes < len(outcome.index.centres_LE)
    outcome.index.probes //= 2
    fewer, _ = outcome.index.search(queries_BD, 10)
    assert sum(len({*ours} & {*theirs}) for ours, theirs in zip(fewer, wanted, strict=True)) / 3000 < measure.RECALL
