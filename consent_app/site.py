"""What every page needs, put together once at start: configuration, rssp, texts, templates."""

from __future__ import annotations

import gzip
import hashlib
import itertools
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

from jinja2 import Environment, PackageLoader, StrictUndefined

from consent_app import installed, language, wording
from consent_app.cookies import Cookies
from consent_app.documents_api import DocumentsApi
from consent_app.fixed_texts import FixedTexts, fix
from consent_app.forms import origin_of
from consent_app.live import Live
from consent_app.passkey_api import PasskeyApi
from consent_app.phone_api import PhoneApi
from consent_app.pin_api import PinApi
from consent_app.repeats import Repeats
from consent_app.rssp_account import AccountApi
from consent_app.rssp_sign_in import SignInApi
from consent_app.validator import Validator
from consent_app.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from gettext import GNUTranslations

    import httpx
    from starlette.requests import Request

    from consent_app.config import ConsentConfig

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file under ``/static``, small enough to stay in memory."""

    content: bytes
    packed: bytes  # the same in gzip's form, made once at start
    media_type: str
    version: str  # of the content; part of the address, so that it can be cached for ever


@dataclass
class Drain:
    """Whether the process is on its way out: then ``/readyz`` says so."""

    started: bool = False


@dataclass(frozen=True)
class Site:
    """The outside world of a page."""

    config: ConsentConfig
    rssp: AccountApi
    validator: Validator
    passkeys: PasskeyApi
    documents: DocumentsApi
    coming_in: SignInApi
    phone: PhoneApi
    live: Live
    worker: str  # the service worker's text
    pins: PinApi
    environments: Mapping[str, Environment]
    static: Mapping[str, StaticFile]
    cookies: Cookies
    origin: str
    drain: Drain
    repeats: Repeats = field(default_factory=Repeats)


def open_site(config: ConsentConfig, transport: httpx.AsyncBaseTransport | None = None) -> Site:
    """The site that ``config`` describes. Connects to nothing yet."""
    static, wire = load_static(), Wire(config.rssp, transport)
    rssp = AccountApi(wire)
    phone, drain = PhoneApi(rssp), Drain()
    environments = load_environments()
    return Site(
        config=config,
        rssp=rssp,
        validator=Validator(wire.strangers),
        passkeys=PasskeyApi(rssp),
        documents=DocumentsApi(rssp),
        coming_in=SignInApi(rssp),
        phone=phone,
        pins=PinApi(rssp),
        live=Live(config.live, drain, phone.look),
        worker=installed.worker(environments, static),
        environments=environments,
        static=static,
        cookies=Cookies(config.public.is_secure),
        origin=origin_of(config.public.url),
        drain=drain,
    )


def site_of(request: Request) -> Site:
    """The site of the application that answers ``request``."""
    return cast("Site", request.app.state.site)


@cache
def load_static() -> Mapping[str, StaticFile]:
    """Everything in ``static/`` and of pdf.js by name, read and compressed once in a process."""
    found: dict[str, StaticFile] = {}
    folders = (files("consent_app") / name for name in ("static", "vendor/pdfjs"))
    for entry in itertools.chain.from_iterable(folder.iterdir() for folder in folders):
        media_type = _MEDIA_TYPES.get(PurePath(entry.name).suffix)
        if media_type is not None:
            content = entry.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:12]
            packed = gzip.compress(content, mtime=0)
            found[entry.name] = StaticFile(content, packed, media_type, version)
    return found


@cache
def load_environments() -> Mapping[str, Environment]:
    """The templates in each language, compiled once in a process, however many sites it has."""
    static = load_static()
    return {name: environment(language.catalogue(name), static) for name in language.LANGUAGES}


def environment(texts: GNUTranslations, static: Mapping[str, StaticFile]) -> Environment:
    """The templates in one language. Everything is escaped; an unknown name is an error."""
    templates = Environment(
        loader=PackageLoader("consent_app"),
        autoescape=True,
        auto_reload=False,  # else each page asks the disk about each template it is made of
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", FixedTexts],
    )
    # The extension adds this method without telling a type checker.
    install = templates.install_gettext_translations  # type: ignore[attr-defined]  # as said above
    install(texts, newstyle=True)
    templates.filters.update(
        date_time=wording.date_time,
        day=wording.day,
        clock_time=wording.clock_time,
        machine_time=wording.machine_time,
        minutes_and_seconds=wording.minutes_and_seconds,
        file_size=wording.file_size,
        short_digest=wording.short_digest,
        short_serial=wording.short_serial,
        algorithm_name=wording.algorithm_name,
        spoken=wording.spoken,
        plain=wording.plain,
    )

    def address(name: str) -> str:
        return f"/static/{name}?v={static[name].version}"

    templates.globals["static"] = address
    # As the extension does it: a text is HTML and a format, also one without anything to fill in.
    fix(templates, {"_": lambda text: texts.gettext(text) % {}, "static": address})
    return templates
