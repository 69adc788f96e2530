"""Graphs of exported models: every model, any batch and length, and the same ten best items."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.models.build import build_model
from fame.registry import models
from fame.serving.exported import Catalogue, ExportedModel
from fame.serving.graph import Graph, disagreement, export_onnx, export_torch, trace
from fame.serving.recommender import Recommender
from fame.serving.request import Request
from tests.fame.conformance import ITEMS, LENGTH, an_exported_model_recommends, new


def exported(name: str, **evaluate: object) -> ExportedModel:
    """A model with random weights, as read from a folder."""
    tree = {"data": {"max_length": LENGTH}, "model": {"name": name}, "evaluate": evaluate}
    experiment = experiment_from_dict(tree)
    catalogue = Catalogue(ids=list(range(ITEMS)), titles=[""] * ITEMS, counts=[1] * ITEMS)
    weights = new(name).state_dict()
    return ExportedModel(model=build_model(experiment, ITEMS, weights), experiment=experiment, catalogue=catalogue)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_every_model_is_one_file_for_torch_and_one_for_onnx_with_the_same_ten_best_items(name, tmp_path):
    """Writing them compares them with the model."""
    an_exported_model_recommends(name, tmp_path)
    assert export_torch(tmp_path / "best") == tmp_path / "best" / "model.pt2"
    assert export_onnx(tmp_path / "best") == tmp_path / "best" / "model.onnx"
    left = {path.name for path in (tmp_path / "best").iterdir()}
    assert {"model.pt2", "model.onnx"} <= left and not [name for name in left if name.startswith(".")]


@pytest.mark.parametrize("seen", [True, False])
def test_a_graph_scores_as_the_model_does_for_any_batch_and_length(seen):
    model = exported("sasrec", exclude_seen=seen)
    run = trace(Graph(model)).module()
    for history in ([3], [1, 2, 3, 4, 5, 6], [7, 7]):
        items = torch.tensor([history, [*history[1:], 0]])
        scores = run(items)
        assert scores.shape == (2, ITEMS)
        (answer,) = Recommender(model).recommend(
            [Request(history=[model.catalogue.ids[n - 1] for n in history], top=5)]
        )
        assert [model.catalogue.ids[i] for i in scores[0].topk(5).indices] == [item.id for item in answer.items]
        assert (scores[0, torch.tensor(history) - 1] == float("-inf")).all() == seen
    with pytest.raises((RuntimeError, AssertionError)):
        run(torch.ones(1, LENGTH + 1, dtype=torch.int64))


def test_a_graph_that_recommends_otherwise_is_found():
    graph = Graph(exported("popularity"))
    assert disagreement(graph, graph) is None
    assert "scores of a batch of 1 with length 1, by " in disagreement(graph, lambda items: graph(items) * 2)
    assert "items of a batch" in disagreement(graph, lambda items: graph(items).sort(1, descending=True).values)


def test_a_model_that_cannot_be_traced_is_one_line():
    class Stubborn(nn.Module):
        fixed_length = False

        def encode(self, items, lengths):
            return items if lengths.sum() > 3 else lengths

    model = exported("popularity")
    graph = Graph(model)
    graph.model = Stubborn()
    with pytest.raises(UserError, match=r"^model Stubborn is no graph that torch\.export can trace: [^\n]+$"):
        trace(graph)
