"""Makes the app's icons from the mark: ``python -m tests.support.app_icons``, by Chromium.

A maskable icon is cut to whatever shape a launcher likes, so its mark stays within the inner 80 %;
a monochrome one is a silhouette that the system paints.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from remote_signing.bootstrap import find_chromium
from tests.support.consent_stage import sandbox

STATIC = Path(__file__).parents[2] / "consent_app" / "static"
RED, GOLD, NOTHING = "#8f1417", "#ffd964", "transparent"
SHIELD = "M32 8l18 7v14c0 12-7.600 21.500-18 26-10.400-4.500-18-14-18-26V15z"
TICK = "M22.500 32l7 7 13-14"


def drawing(ground: str, line: str, scale: float, corner: int) -> str:
    """The mark at ``scale`` on a ground that fills the picture."""
    place = f"translate({32 - 32 * scale} {32 - 32 * scale}) scale({scale})"
    style = f'fill="none" stroke="{line}" stroke-linecap="round" stroke-linejoin="round"'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="100%" height="100%">'
        f'<rect width="64" height="64" rx="{corner}" fill="{ground}"/>'
        f'<g transform="{place}" {style}>'
        f'<path d="{SHIELD}" stroke-width="4"/><path d="{TICK}" stroke-width="5"/></g></svg>'
    )


ICONS = {
    "icon-180.png": (180, drawing(RED, GOLD, 1.0, 0)),  # iOS rounds the corners itself
    "icon-192.png": (192, drawing(RED, GOLD, 1.0, 14)),
    "icon-512.png": (512, drawing(RED, GOLD, 1.0, 14)),
    "icon-maskable.png": (512, drawing(RED, GOLD, 0.9, 0)),
    "icon-badge.png": (96, drawing(NOTHING, "#fff", 1.3, 0)),
}


def main() -> None:
    """Write them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=sandbox())
        for name, (size, drawn) in ICONS.items():
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(f'<body style="margin:0;height:100vh">{drawn}')
            picture = Image.open(io.BytesIO(page.screenshot(omit_background=True)))
            picture.save(STATIC / name, optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
