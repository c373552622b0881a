"""The page as an app on the phone: its manifest, its service worker, and what that one says.

The worker's first line holds what this installation gives it, so the file changes, and with it the
worker in every browser, when any file that it keeps does.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from consent_app import language
from consent_app.appearance import Appearance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from consent_app.config import BrandConfig
    from consent_app.site import StaticFile

SHELL = (
    *("consent.css", "dark.css", "phone.css", "mark.svg", "app.js", "live.js", "push.js"),
    *("icon-192.png", "icon-badge.png"),
)
"""Files that pages need which are shown without a connection."""
OFFLINE = ("offline", "unsent")
"""Pages of the worker: nothing to show; a form that was not sent."""
_COLOUR, _PAPER = "#8f1417", "#f4f2ee"
_ICONS = (
    ("mark.svg", "any", "any"),
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-maskable.png", "512x512", "maskable"),
    ("icon-badge.png", "96x96", "monochrome"),
)


def manifest(
    brand: BrandConfig, lang: str, static: Mapping[str, StaticFile], texts: Environment
) -> dict[str, Any]:
    """The web app manifest (W3C) in one language."""
    name = brand.name_en if lang == "en" else brand.name
    words = _words(texts)
    return {
        "id": "/",
        "name": name,
        "short_name": words["short_name"],
        "lang": lang,
        "dir": "ltr",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "theme_color": _COLOUR,
        "background_color": _PAPER,
        "categories": ["government", "productivity"],
        "launch_handler": {"client_mode": "navigate-existing"},
        "icons": [
            {
                "src": address(file, static),
                "sizes": sizes,
                "type": static[file].media_type,
                "purpose": purpose,
            }
            for file, sizes, purpose in _ICONS
        ],
        "shortcuts": [
            {"name": words["history"], "url": "/history"},
            {"name": words["lost"], "url": "/lost-phone"},
        ],
    }


def worker(environments: Mapping[str, Environment], static: Mapping[str, StaticFile]) -> str:
    """The service worker's text."""
    source = (files("consent_app") / "worker" / "service_worker.js").read_text(encoding="utf-8")
    words = {name: _words(environments[name]) for name in language.LANGUAGES}
    look = Appearance().cookie
    setup: dict[str, Any] = {
        "shell": [address(file, static) for file in SHELL],
        "look": look,
        "pages": [
            f"/offline/{lang}/{kind}?look={look}" for lang in language.LANGUAGES for kind in OFFLINE
        ],
        "words": words,
        "icon": address("icon-192.png", static),
        "badge": address("icon-badge.png", static),
    }
    # The pages too, as far as they are ours: their templates, and the catalogues of their words.
    templates = files("consent_app") / "templates"
    pages = [(templates / name).read_bytes() for name in ("offline.html", "frame.html")]
    pages += [language.source(name).read_bytes() for name in language.LANGUAGES]
    whole = json.dumps(setup, sort_keys=True).encode() + source.encode() + b"".join(pages)
    setup["version"] = hashlib.sha256(whole).hexdigest()[:16]
    return f"const SETUP = {json.dumps(setup, ensure_ascii=False)};\n{source}"


def address(file: str, static: Mapping[str, StaticFile]) -> str:
    """Where browsers find this version of ``file``."""
    return f"/static/{file}?v={static[file].version}"


def _words(texts: Environment) -> dict[str, str]:
    """What the worker and the manifest say, one text a line of a template."""
    lines = texts.get_template("worker_parts.html").render().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name.strip(): text.strip() for name, _, text in pairs}
