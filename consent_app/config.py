"""The consent page's configuration: one TOML file, read once, refused when anything is amiss.

There are no secrets in it: the page keeps none and signs nothing in its own name.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class ConfigInvalid(Exception):
    """The configuration cannot be used; the text names the key and says what it should be."""


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where uvicorn listens, behind the TLS-terminating proxy. Times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8401
    notice: int = 0  # between a failing /readyz and refusing connections: the balancer's time
    drain: int = 20  # for answers under way after that


@dataclass(frozen=True, slots=True)
class ManagementConfig:
    """Where operators and Prometheus ask; without this table nothing is counted.

    Whoever reaches it may read it, so it is loopback or an address that only operators reach.
    """

    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class PublicConfig:
    """The origin under which browsers see the page. Nothing is derived from a Host header."""

    url: str  # https://host[:port], no path; http only for loopback

    @property
    def is_secure(self) -> bool:
        """Whether cookies can be ``Secure`` with the ``__Host-`` prefix."""
        return self.url.startswith("https:")


@dataclass(frozen=True, slots=True)
class RsspConfig:
    """The rssp whose consent API is shown. ``timeout`` in seconds, above the rssp's for its SAM."""

    url: str
    timeout: float = 30.0
    ca: Path | None = None  # PEM; None: the system's certificate authorities


@dataclass(frozen=True, slots=True)
class BrandConfig:
    """Who runs the service, in both languages, and where officials get help."""

    name: str
    name_en: str
    operator: str
    operator_en: str
    support: str = ""  # a telephone number or an address, shown as it is


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """Pages that are told when their list has changed. Of one process; times in seconds."""

    streams: int = 1000
    of_session: int = 3  # the oldest makes room
    period: float = 5.0  # between two questions to the rssp for one page
    heartbeat: float = 15.0
    lifetime: float = 600.0  # of a stream; then the page opens another one


@dataclass(frozen=True, slots=True)
class OpenidConfig:
    """The identity provider that the rssp knows: its name on the button, and where its page is."""

    name: str
    name_en: str
    origin: str  # https://host[:port] of its authorization endpoint

    def __post_init__(self) -> None:
        _check_url("openid.origin", self.origin)
        if urlsplit(self.origin).path:
            raise ConfigInvalid(f"openid.origin: {self.origin!r} has a path")


@dataclass(frozen=True, slots=True)
class ConsentConfig:
    """The whole file. A table of TOML is a member here."""

    public: PublicConfig
    rssp: RsspConfig
    brand: BrandConfig
    listen: ListenConfig = field(default_factory=ListenConfig)
    management: ManagementConfig | None = None
    live: LiveConfig = field(default_factory=LiveConfig)
    openid: OpenidConfig | None = None  # None: no such button

    def __post_init__(self) -> None:
        for name, url in (("public.url", self.public.url), ("rssp.url", self.rssp.url)):
            _check_url(name, url)
        if urlsplit(self.public.url).path:
            raise ConfigInvalid(f"public.url: {self.public.url!r} has a path")
        live = self.live
        if live.streams < 0 or min(live.of_session, live.period, live.heartbeat) <= 0:
            raise ConfigInvalid("live: of_session, period and heartbeat are above zero")


def load(path: Path) -> ConsentConfig:
    """The configuration in the TOML file ``path``; relative paths in it start at its folder."""
    try:
        members = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigInvalid(f"{path}: {error}") from error
    return read(members, path.parent)


def read(members: Mapping[str, Any], folder: Path) -> ConsentConfig:
    """The configuration of parsed TOML; ``ConfigInvalid`` names the first wrong key."""
    tables = {item.name: item for item in dataclasses.fields(ConsentConfig)}
    for name, value in members.items():
        if name not in tables or not isinstance(value, dict):
            raise ConfigInvalid(f"{name}: there is no such table")
    return ConsentConfig(
        public=_table(PublicConfig, members, folder, "public"),
        rssp=_table(RsspConfig, members, folder, "rssp"),
        brand=_table(BrandConfig, members, folder, "brand"),
        listen=_table(ListenConfig, members, folder, "listen"),
        management=(
            _table(ManagementConfig, members, folder, "management")
            if "management" in members
            else None
        ),
        live=_table(LiveConfig, members, folder, "live"),
        openid=_table(OpenidConfig, members, folder, "openid") if "openid" in members else None,
    )


_Table = typing.TypeVar("_Table")


def _table(kind: type[_Table], members: Mapping[str, Any], folder: Path, name: str) -> _Table:
    given = members.get(name, {})
    hints = typing.get_type_hints(kind)
    for key in given:
        if key not in hints:
            raise ConfigInvalid(f"{name}.{key}: there is no such key")
    for item in dataclasses.fields(typing.cast("Any", kind)):
        if item.name not in given and item.default is dataclasses.MISSING:
            raise ConfigInvalid(f"{name}.{item.name}: is missing")
    return kind(
        **{key: _value(hints[key], value, folder, f"{name}.{key}") for key, value in given.items()}
    )


def _value(hint: object, value: object, folder: Path, name: str) -> object:
    if hint == Path | None and isinstance(value, str):
        return folder / value
    if hint is float and type(value) in {int, float}:
        return float(typing.cast("float", value))
    if hint in {str, int} and type(value) is hint:
        return value
    raise ConfigInvalid(f"{name}: {value!r} is not of type {getattr(hint, '__name__', 'path')}")


def _check_url(name: str, url: str) -> None:
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or local) or not parts.hostname:
        raise ConfigInvalid(f"{name}: {url!r} is not an https URL (http only for loopback)")
    if parts.query or parts.fragment or parts.username or url.endswith("/"):
        raise ConfigInvalid(f"{name}: {url!r} has a user, query, fragment or final slash")
