"""An explanation as one self-contained SVG: what experts attend to, the sum of the facets, each facet alone.

Drawn without a plotting library: it is text and boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from fame.serving.explanation import ExplainedFacet, Explanation

WIDTH, MARGIN, ROW = 1120, 24, 20
NAMES = 330
"""Width of a column of titles."""
LETTER = 6.4
"""Mean width of a letter of 12 px."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a3e9d", "#555555")
"""Colours of the facets, in turn. The colour-blind can tell them apart."""
READ = 20
"""Most items of the history that are drawn, the newest."""
PANELS = 3
"""Facets side by side."""


def picture(explanation: Explanation, title: str) -> str:
    """SVG text."""
    drawing = Drawing()
    drawing.text(0, title, size=16, bold=True)
    drawing.down(1.6)
    attention(drawing, explanation)
    drawing.down(2)
    integrated(drawing, explanation)
    drawing.down(2)
    alone(drawing, explanation)
    return drawing.svg()


class Drawing:
    """Boxes and texts below each other; x counts from the left margin, `y` is the line that is drawn on."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y: float = MARGIN + ROW

    def down(self, rows: float = 1) -> None:
        self.y += rows * ROW

    def text(
        self,
        x: float,
        text: str,
        *,
        room: float = WIDTH,
        size: int = 12,
        bold: bool = False,
        end: bool = False,
        fill: str = "#222",
    ) -> None:
        """A line of text, cut off where its room ends."""
        most = int(room / (LETTER * size / 12))
        text = text if len(text) <= most else text[: max(1, most - 1)].rstrip() + "…"
        weight, anchor = ' font-weight="bold"' if bold else "", ' text-anchor="end"' if end else ""
        self.parts.append(
            f'<text x="{x + MARGIN:.1f}" y="{self.y:.1f}" font-size="{size}" fill="{fill}"{weight}{anchor}>{escape(text)}</text>'
        )

    def box(self, x: float, width: float, height: float, fill: str, *, opacity: float = 1, lift: float = 0) -> None:
        """A box whose lower edge is `lift` above the foot of the line."""
        top = self.y + 5 - lift - height
        self.parts.append(
            f'<rect x="{x + MARGIN:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" '
            f'fill-opacity="{opacity:.3f}"/>'
        )

    def svg(self) -> str:
        width, height = WIDTH + 2 * MARGIN, round(self.y + MARGIN)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif">'
        )
        return "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *self.parts, "</svg>\n"])


def colour(facet: int) -> str:
    return COLOURS[facet % len(COLOURS)]


def attention(drawing: Drawing, explanation: Explanation) -> None:
    """Gate and router on top, and below them a column per expert: the share of each item of the history."""
    facets, shown = explanation.facets, explanation.history[-READ:]
    before = explanation.older + len(explanation.history) - len(shown)
    heading = "What each expert attends to" + (f" (of the history the last {len(shown)} items)" if before else "")
    drawing.text(0, heading, size=14, bold=True)
    drawing.down(1.4)
    gap = 16
    cell = min(80.0, (WIDTH - NAMES - gap * len(facets)) / sum(len(facet.experts) for facet in facets))
    places = _places(facets, NAMES + gap, cell, gap)
    for h, (facet, start) in enumerate(zip(facets, places, strict=True)):
        width = cell * len(facet.experts)
        drawing.text(start, facet.name, room=width, bold=True, fill=colour(h))
    drawing.down(0.8)
    _per_facet(drawing, "gate: weight of each facet", facets, places, cell, _gate)
    drawing.down(1.6)
    _per_facet(drawing, "router: weight of each expert within its facet", facets, places, cell, _router)
    drawing.down(0.3)
    for t, title in enumerate(shown, start=len(explanation.history) - len(shown)):
        drawing.down()
        drawing.text(NAMES, f"{explanation.older + t + 1}. {title}", room=NAMES, end=True)
        for h, (facet, start) in enumerate(zip(facets, places, strict=True)):
            for n, expert in enumerate(facet.experts):
                _shade(drawing, start + n * cell, cell, expert.attention[t], colour(h))


def _places(facets: Sequence[ExplainedFacet], left: float, cell: float, gap: float) -> list[float]:
    """Where each facet's columns begin."""
    places = [left]
    for facet in facets[:-1]:
        places.append(places[-1] + cell * len(facet.experts) + gap)
    return places


def _per_facet(
    drawing: Drawing,
    label: str,
    facets: Sequence[ExplainedFacet],
    places: Sequence[float],
    cell: float,
    draw: Callable[[Drawing, ExplainedFacet, str, float, float], None],
) -> None:
    drawing.text(NAMES, label, end=True, fill="#666")
    for h, (facet, start) in enumerate(zip(facets, places, strict=True)):
        draw(drawing, facet, colour(h), start, cell)


def _gate(drawing: Drawing, facet: ExplainedFacet, fill: str, start: float, cell: float) -> None:
    width = cell * len(facet.experts) - 2
    drawing.box(start, width, ROW - 6, fill, opacity=0.12, lift=2)
    drawing.box(start, width * facet.weight, ROW - 6, fill, opacity=0.55, lift=2)
    drawing.text(start + 4, f"{facet.weight:.2f}", room=max(width, 30))


def _router(drawing: Drawing, facet: ExplainedFacet, fill: str, start: float, cell: float) -> None:
    for n, expert in enumerate(facet.experts):
        drawing.box(start + n * cell, cell - 2, 1.5 * ROW - 6, fill, opacity=0.12)
        drawing.box(start + n * cell, cell - 2, (1.5 * ROW - 6) * expert.weight, fill, opacity=0.55)
        if cell >= 30:
            drawing.text(start + n * cell + 4, f"{expert.weight:.2f}", room=cell)


def _shade(drawing: Drawing, x: float, cell: float, share: float, fill: str) -> None:
    drawing.box(x, cell - 2, ROW - 2, fill, opacity=0.04 + 0.96 * share**0.5)
    if cell >= 30:
        drawing.text(x + 4, f"{share:.2f}", room=cell, fill="white" if share > 0.35 else "#222")


def integrated(drawing: Drawing, explanation: Explanation) -> None:
    """The recommended items, and what each facet adds to the score of each."""
    drawing.text(0, "Recommended: each score is the sum of what the facets add, g · P", size=14, bold=True)
    drawing.down(1.4)
    width = min(330.0, (WIDTH - NAMES - 70) / len(explanation.facets))
    lefts = [NAMES + 70 + h * width for h in range(len(explanation.facets))]
    for h, (left, facet) in enumerate(zip(lefts, explanation.facets, strict=True)):
        drawing.text(left, facet.name, room=width - 8, bold=True, fill=colour(h))
    drawing.text(NAMES + 50, "score", end=True, fill="#666")
    longest = max((abs(part) for parts in explanation.parts for part in parts), default=1.0) or 1.0
    for place, (item, parts) in enumerate(zip(explanation.items, explanation.parts, strict=True), start=1):
        drawing.down()
        drawing.text(0, f"{place}. {item.title}", room=NAMES)
        drawing.text(NAMES + 50, f"{item.score:.2f}", end=True)
        for h, (left, part) in enumerate(zip(lefts, parts, strict=True)):
            # What a facet takes away is grey.
            length, fill = (width - 60) * abs(part) / longest, colour(h) if part >= 0 else "#999"
            drawing.box(left, length, ROW - 6, fill, opacity=0.55, lift=2)
            drawing.text(left + length + 4, f"{part:+.2f}", room=56)


def alone(drawing: Drawing, explanation: Explanation) -> None:
    """Draw each facet's own recommendations. Those that all facets together recommend, too, are bold."""
    drawing.text(0, "Each facet alone (bold: also recommended by all together)", size=14, bold=True)
    chosen, side = {item.id for item in explanation.items}, min(PANELS, len(explanation.facets))
    width = WIDTH / side
    for first in range(0, len(explanation.facets), side):
        drawing.down(1.4)
        top, lowest = drawing.y, drawing.y
        for h, facet in enumerate(explanation.facets[first : first + side], start=first):
            drawing.y, left = top, (h - first) * width
            drawing.text(left, f"{facet.name}, weight {facet.weight:.2f}", room=width - 16, bold=True, fill=colour(h))
            for place, item in enumerate(facet.alone, start=1):
                drawing.down()
                drawing.text(left, f"{place}. {item.title}", room=width - 75, bold=item.id in chosen)
                drawing.text(left + width - 24, f"{item.score:.2f}", end=True)
            lowest = max(lowest, drawing.y)
        drawing.y = lowest
