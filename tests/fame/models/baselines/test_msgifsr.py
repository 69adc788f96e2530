"""MSGIFSR against a graph of tuples in sets and dictionaries, one session at a time."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from fame.config.tree import experiment_from_dict
from fame.errors import UserError
from fame.losses.objective import Softmax
from fame.models.baselines.msgifsr import GraphAttention, Msgifsr, MsgifsrConfig, UnitGraph
from tests.fame.helpers import last_batch, random_rows, randomise
from tests.fame.paper import softmax

ITEMS, LENGTH = 4, 9
"""Few items: units come back."""

Unit = tuple[int, ...]
Edges = set[tuple[Unit, Unit]]


def messages(attention: GraphAttention, h: dict[Unit, Tensor], unit: Unit, edges: Edges) -> Tensor:
    """Return the messages to a unit along one kind of edge, and its own part."""
    sources = sorted(source for source, target in edges if target == unit)
    heads = []
    for weight, c, d in zip(
        attention.value.weight.chunk(attention.heads), attention.target, attention.source, strict=True
    ):
        votes = [c @ (weight @ h[unit]) + d @ (weight @ h[source]) for source in sources]
        shares = softmax([vote if vote > 0 else 0.2 * vote for vote in votes]) if votes else []
        heads.append(sum((p * (weight @ h[s]) for p, s in zip(shares, sources, strict=True)), torch.zeros(len(c))))
    return torch.cat(heads) + attention.own.weight @ h[unit] + attention.own.bias


def units_of(items: list[int], k: int) -> list[Unit]:
    return [tuple(items[j : j + k]) for j in range(len(items) - k + 1)]


def naive_log_p(model: Msgifsr, items: list[int]) -> Tensor:
    """log p_v of all items after a session."""
    K = min(model.config.levels, len(items))
    level = {k: units_of(items, k) for k in range(1, K + 1)}
    h = {}
    for units in level.values():
        for unit in units:
            x = model.items.weight[list(unit)]
            h[unit] = x[0] if len(unit) == 1 else x.mean(0) + model.orders[len(unit) - 2](x)[0][-1]
            h[unit] = h[unit] / h[unit].norm()
    back = lambda edges: {(target, source) for source, target in edges}  # noqa: E731
    within = {k: set(itertools.pairwise(units)) for k, units in level.items()}
    into = {k: set(zip(level[1], units[1:], strict=False)) for k, units in level.items()}
    out_of = {k: set(zip(units, level[1][k:], strict=False)) for k, units in level.items()}
    for layer in model.layers:
        new = {}
        for unit in h:
            k = len(unit)
            nodes = set(level[k])
            new[unit] = sum(h[u] for u in nodes) / len(nodes)
            new[unit] = new[unit] + messages(layer.within[2 * k - 2], h, unit, within[k])
            new[unit] = new[unit] + messages(layer.within[2 * k - 1], h, unit, back(within[k]))
            for other in range(2, K + 1) if k == 1 else [k]:
                ahead, behind = (out_of, into) if k == 1 else (into, out_of)
                new[unit] = new[unit] + messages(layer.between[0], h, unit, ahead[other])
                new[unit] = new[unit] + messages(layer.between[1], h, unit, back(behind[other]))
            if k == 1:  # a level that the session has no units of still gives the unit's own part
                for _ in range(K, model.config.levels):
                    for between in layer.between:
                        new[unit] = new[unit] + between.own.weight @ h[unit] + between.own.bias
        h = new
    h = {unit: row / row.norm() for unit, row in h.items()}
    fused = torch.zeros(ITEMS)
    for k, weight in zip(level, softmax(list(model.fusion[:K])), strict=True):
        last, own, new, vote = h[level[k][-1]], model.every[k - 1], model.newest[k - 1], model.vote[k - 1]
        shares = softmax(
            [(vote.weight @ torch.sigmoid(own.weight @ h[u] + own.bias + new.weight @ last))[0] for u in h]
        )
        read = sum(share * row for share, row in zip(shares, h.values(), strict=True))
        z = model.output[k - 1].weight @ torch.cat([last, read])
        cosines = torch.stack([F.cosine_similarity(z, x, dim=0) for x in model.items.weight[1:]])
        fused = fused + weight * torch.softmax(cosines * 12, 0)
    return fused.log()


def build(**options) -> Msgifsr:
    return randomise(Msgifsr(MsgifsrConfig(dim=6, **options), ITEMS, LENGTH), seed=0)


@pytest.mark.parametrize("options", [{}, {"layers": 2, "heads": 3}, {"levels": 1}, {"levels": 4, "heads": 1}])
def test_it_is_the_equations_on_a_graph_of_tuples(options):
    torch.set_default_dtype(torch.float64)
    try:
        model = build(**options)
        items, lengths = random_rows(6, LENGTH, ITEMS, seed=1)
        with torch.no_grad():
            found = model.scorer().scores(model.encode(items, lengths))
            for b, length in enumerate(lengths.tolist()):
                expected = naive_log_p(model, items[b, :length].tolist())
                torch.testing.assert_close(found[b], expected, rtol=0, atol=1e-9)
                assert math.isclose(float(found[b].exp().sum()), 1, abs_tol=1e-9)
    finally:
        torch.set_default_dtype(torch.float32)


@given(session=st.lists(st.integers(1, 3), min_size=1, max_size=8), padding=st.integers(0, 3), levels=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_nodes_are_units_once_and_edges_join_them(session, padding, levels):
    """Nodes and edges, named by their units, are those of sets of tuples, whatever lies in the padding."""
    items = torch.tensor([session + [session[0]] * padding])
    graph = UnitGraph(items, torch.tensor([len(session)]), levels)

    def edges(found: Tensor, source_size: int, target_size: int) -> list[tuple[Unit, Unit]]:
        return sorted((unit(s, source_size), unit(t, target_size)) for _, t, s in found.nonzero().tolist())

    def unit(begin: int, size: int) -> Unit:
        return tuple(session[begin : begin + size])

    singles = units_of(session, 1)
    for k, nodes in enumerate(graph.nodes, start=1):
        units = units_of(session, k)
        assert sorted(unit(t, k) for _, t in nodes.nonzero().tolist()) == sorted(set(units))
        if units:
            assert unit(int(graph.last[k - 1]), k) == units[-1]
        within = set(itertools.pairwise(units))
        into, out_of = set(zip(singles, units[1:], strict=False)), set(zip(units, singles[k:], strict=False))
        assert edges(graph.within[0][k - 1], k, k) == sorted(within)
        assert edges(graph.within[1][k - 1], k, k) == sorted((t, s) for s, t in within)
        assert edges(graph.to_units[0][k - 1], 1, k) == sorted(into)
        assert edges(graph.to_units[1][k - 1], 1, k) == sorted((t, s) for s, t in out_of)
        assert edges(graph.to_items[0][k - 1], k, 1) == sorted(out_of)
        assert edges(graph.to_items[1][k - 1], k, 1) == sorted((t, s) for s, t in into)


def test_the_loss_is_that_of_the_scores_and_so_is_its_gradient():
    model = build(item_dropout=0.0)
    items, lengths = random_rows(5, LENGTH, ITEMS, seed=2)
    targets = torch.tensor([1, 4, 2, 2, 3])
    batch = last_batch(items, lengths, targets)
    loss = model(batch, Softmax("float32"))
    scores = model.scorer().scores(model.encode(items, lengths))
    expected = -scores[torch.arange(5), targets - 1].sum()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    got, want = (torch.autograd.grad(value, list(model.parameters())) for value in (loss, expected))
    for name, one, other in zip(dict(model.named_parameters()), got, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)


def test_a_stretch_of_the_catalogue_scores_as_it_does_among_all():
    model = build()
    with torch.no_grad():
        queries, scorer = model.encode(*random_rows(3, LENGTH, ITEMS, seed=3)), model.scorer()
        every = scorer.scores(queries)
        torch.testing.assert_close(scorer.scores(queries, slice(1, 3)), every[:, 1:3])
        torch.testing.assert_close(scorer.scores(queries[:2], torch.tensor([3, 0])), every[:2, [3, 0]])


@pytest.mark.parametrize(("key", "value"), [("loss", "gbce"), ("label_smoothing", 0.1)])
def test_other_losses_are_refused(key, value):
    with pytest.raises(UserError, match=rf"train.{key} = {value!r}: .*the plain train.loss = softmax"):
        experiment_from_dict({"model": {"name": "msgifsr"}, "train": {key: value}})


@pytest.mark.parametrize("key", ["levels", "layers", "heads"])
def test_counts_are_at_least_one(key):
    with pytest.raises(UserError, match=rf"model.{key} = 0: must be at least 1"):
        MsgifsrConfig(**{key: 0})
