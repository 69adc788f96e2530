"""Why a model recommends what it does: the paper's Figures 7 and 4 for any history.

An explanation has the gate's weights of the facets (Eq. 10), and what each facet recommends alone (P^h, Eq. 8) and all
together (P = Σ_h g_h P^h, Eq. 11). It also has the router's weights of a facet's experts (Eq. 16), and the items of the
history that each of them attends to (Eq. 13).

Letters: H heads = facets, N experts per facet, T items read, D model width, V items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fame.errors import UserError
from fame.serving.exported import ExportedModel
from fame.serving.recommender import Recommender, id_text
from fame.serving.request import Recommendation

WIDTH = 80
"""Columns of the terminal view."""
ATTENDED = 2
"""Items that the terminal view shows of what an expert attends to."""


@dataclass(frozen=True, kw_only=True)
class Expert:
    """One expert of a facet."""

    weight: float
    """The router's β_n."""
    attention: list[float]
    """Share of each item of `Explanation.history`, [T]; sums to 1."""


@dataclass(frozen=True, kw_only=True)
class ExplainedFacet:
    """One facet."""

    name: str
    weight: float
    """The gate's g_h."""
    alone: list[Recommendation]
    """The facet's own recommendations; the score is P^h."""
    experts: list[Expert]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """How a model came from a history to its recommendations."""

    history: list[str]
    """Titles of the items that the model read, oldest first, [T]."""
    older: int
    """Items of the history before those, which it did not read."""
    facets: list[ExplainedFacet]
    items: list[Recommendation]
    """The recommended items; the score is P."""
    parts: list[list[float]]
    """g_h · P^h for each of `items` and each facet; a row sums to the item's score."""


@torch.no_grad()
def explain(recommender: Recommender, history: Sequence[int], k: int) -> Explanation:
    """Explain the k best next items for a history of item numbers, oldest first.

    Raises `UserError` for an empty history, or a model without facets.
    """
    exported = recommender.exported
    if not history:
        raise UserError("an empty history says nothing to explain; give at least one item")
    row = recommender.rows([history])
    found, experts = exported.model.facet_queries(*row), exported.model.experts(*row)
    if found is None or experts is None:
        raise UserError(
            f"model '{exported.experiment.model.name}' has no facets to explain; "
            "its items are shown by python -m fame.recommend"
        )
    (queries_HD,), (weights_H,) = found
    (attention_HNT,), (routed_HN,) = experts
    scores_HV = recommender.scorer.scores(queries_HD)
    parts_HV = weights_H[:, None] * scores_HV
    items = recommender.ranked(parts_HV.sum(0)[None], history, k)
    facets = [
        ExplainedFacet(
            name=name,
            weight=weight,
            alone=recommender.ranked(scores_HV[h : h + 1], history, k),
            experts=[
                Expert(weight=share, attention=attended)
                for share, attended in zip(routed_HN[h].tolist(), attention_HNT[h].tolist(), strict=True)
            ],
        )
        for h, (name, weight) in enumerate(zip(facet_labels(exported, len(weights_H)), weights_H.tolist(), strict=True))
    ]
    read = row[0][0].tolist()
    return Explanation(
        history=[exported.catalogue.titles[number - 1] for number in read],
        older=len(history) - len(read),
        facets=facets,
        items=items,
        parts=[parts_HV[:, recommender.numbers[id_text(item.id)] - 1].tolist() for item in items],
    )


def facet_labels(exported: ExportedModel, heads: int) -> list[str]:
    """A name for each facet: the labels that its head learned from text, as far as it did."""
    named = exported.model.named_facets
    trained = exported.facets or [()] * (heads - len(named))
    return [*(" + ".join(names) or f"facet {h}" for h, names in enumerate(trained, start=1)), *named]


def terminal_view(explanation: Explanation, title: str) -> str:
    """The explanation as text, at most `WIDTH` columns wide."""
    unread = f", and {explanation.older} before them that it does not read" if explanation.older else ""
    lines = [title, f"the model reads {len(explanation.history)} items{unread}:"]
    lines += [f"  {place:2d}  {title}" for place, title in enumerate(explanation.history, start=1)]
    lines += ["", "recommended (score P = Σ g·P of the facets)"]
    for place, (item, parts) in enumerate(zip(explanation.items, explanation.parts, strict=True), start=1):
        sum_ = " ".join(f"{part:+.2f}" for part in parts)
        lines.append(f"  {place:2d}  {item.score:6.2f} = {sum_}  {item.title}")
    for facet in explanation.facets:
        lines += ["", f"{facet.name}: weight {facet.weight:.2f} {bar(facet.weight)}", "  alone it would recommend"]
        lines += [f"  {place:2d}  {item.score:6.2f}  {item.title}" for place, item in enumerate(facet.alone, start=1)]
        lines += [expert_line(n, expert, explanation.history) for n, expert in enumerate(facet.experts, start=1)]
    return "\n".join(line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines)


def expert_line(n: int, expert: Expert, history: Sequence[str]) -> str:
    """An expert's weight, and the items that it attends to most, by their place in the history."""
    most = sorted(range(len(history)), key=lambda t: -expert.attention[t])[:ATTENDED]
    room = (WIDTH - 21 - 9 * len(most)) // len(most)
    attended = "; ".join(f"{expert.attention[t]:4.0%} {t + 1} {history[t][:room].rstrip()}" for t in most)
    return f"  expert {n}, {expert.weight:4.0%}: {attended}"


def bar(share: float, width: int = 20) -> str:
    """A share of 1 as a bar of blocks."""
    return "█" * round(share * width)
