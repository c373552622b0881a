"""Charts as inline SVG: no script, nothing fetched, readable when printed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 720, 220, 56, 28, 14
_COLOURS = ("#1a5fb4", "#c64600", "#26734d", "#813d9c", "#865e3c", "#3d3846", "#a51d2d", "#1c71d8")


def lines(title: str, unit: str, series: Mapping[str, Sequence[float]]) -> str:
    """Lines over the seconds of the run, one for each name."""
    top = max((max(values, default=0.0) for values in series.values()), default=0.0) or 1.0
    longest = max((len(values) for values in series.values()), default=0)
    parts = [_axes(top, f"{longest} s")]
    for number, (name, values) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(
            f"{_x(at, longest):.1f},{_y(value, top):.1f}" for at, value in enumerate(values)
        )
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'
        )
        parts.append(_legend(number, name, colour))
    return _figure(f"{title} ({unit})", parts, _HEIGHT)


def bars(title: str, unit: str, values: Mapping[str, float]) -> str:
    """One bar for each name, with its figure."""
    top = max(values.values(), default=0.0) or 1.0
    row, left = 26, 190
    parts = []
    for number, (name, value) in enumerate(values.items()):
        y = _TOP + number * row
        width = (_WIDTH - left - 110) * value / top
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{left}" y="{y + 2}" width="{width:.1f}" height="18" fill="{colour}"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + 15}">{value:.2f} {escape(unit)}</text>'
        )
    return _figure(title, parts, _TOP + len(values) * row + 10)


def _figure(title: str, parts: Sequence[str], height: int) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {height}"'
        f' role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def _axes(top: float, end: str) -> str:
    base = _HEIGHT - _BOTTOM
    marks = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{_y(share * top, top):.1f}"'
        f' y2="{_y(share * top, top):.1f}" stroke="#ddd"/>'
        f'<text x="{_LEFT - 6}" y="{_y(share * top, top) + 4:.1f}" text-anchor="end">'
        f"{share * top:.4g}</text>"
        for share in (0, 0.5, 1)
    )
    return (
        f'{marks}<text x="{_LEFT}" y="{base + 20}">0</text>'
        f'<text x="{_WIDTH - 10}" y="{base + 20}" text-anchor="end">{escape(end)}</text>'
    )


def _legend(number: int, name: str, colour: str) -> str:
    x = _LEFT + 90 + number * 110
    y = _HEIGHT - 8
    return (
        f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{x + 14}" y="{y}">{escape(name)}</text>'
    )


def _x(at: int, longest: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - 10) * at / max(longest - 1, 1)


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * value / top
