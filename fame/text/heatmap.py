"""A matrix as an SVG heat map, without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

CELL, LEFT, TOP = 64, 190, 56


def heat_map(title: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    """SVG text. Values from 0 to 1; the darker the higher, and each is written into its cell."""
    width, height = LEFT + CELL * len(columns) + 16, TOP + CELL // 2 * len(rows) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="8" y="18" font-size="13">{escape(title)}</text>',
    ]
    for column, name in enumerate(columns):
        x = LEFT + CELL * column + CELL // 2
        parts.append(f'<text x="{x}" y="{TOP - 8}" text-anchor="middle">{escape(name)}</text>')
    for row, (name, entries) in enumerate(zip(rows, values, strict=True)):
        y = TOP + CELL // 2 * row
        parts.append(f'<text x="{LEFT - 8}" y="{y + 20}" text-anchor="end">{escape(name)}</text>')
        for column, value in enumerate(entries):
            parts += _cell(LEFT + CELL * column, y, value)
    return "\n".join([*parts, "</svg>\n"])


def _cell(x: int, y: int, value: float) -> list[str]:
    light = round(255 * (1 - min(1.0, max(0.0, value)) * 0.85))
    ink = "white" if light < 128 else "black"
    return [
        f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL // 2}" fill="rgb({light},{light},255)"/>',
        f'<text x="{x + CELL // 2}" y="{y + 20}" text-anchor="middle" fill="{ink}">{value:.2f}</text>',
    ]
