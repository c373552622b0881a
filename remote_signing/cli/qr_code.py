"""QR codes of links that are handed over: for a terminal, and for paper."""

from __future__ import annotations

import io

import segno


def as_text(content: str) -> str:
    """The code in half blocks, with its quiet zone."""
    out = io.StringIO()
    segno.make_qr(content).terminal(out, compact=True)
    return out.getvalue()


def as_svg(content: str) -> bytes:
    """The code as an SVG document, black on white also where the page is dark."""
    out = io.BytesIO()
    segno.make_qr(content).save(out, kind="svg", scale=4, light="white", dark="black")
    return out.getvalue()
