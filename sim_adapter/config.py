"""The adapter's configuration: one TOML file, read once, refused when anything is amiss.

Secrets are files named by it, never values in it. Durations are seconds. An operator is one
``[[operators]]`` table; ``docs/sim-operators.example.toml`` shows each key.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sim_adapter import display_text
from sim_adapter.display_text import TextLimits
from sim_adapter.errors import TextRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEAST_ROOM = 48  # characters beside a prefix; a receipt with its time and no name takes 43
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class ConfigInvalid(Exception):
    """The configuration cannot be used; the text names the key and says what it should be."""


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where uvicorn listens, behind the TLS-terminating proxy."""

    host: str = "127.0.0.1"
    port: int = 8402
    notice: int = 3  # between a failing /readyz and refusing connections
    drain: int = 30  # for answers under way after that; longer than the longest long poll


@dataclass(frozen=True, slots=True)
class ManagementConfig:
    """Where operators and Prometheus ask; without this table nothing is counted.

    Whoever reaches it may read it, so it is loopback or an address that only operators reach.
    """

    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """``sqlite:////path`` or ``postgresql+psycopg://role@host/name``; no password in the URL."""

    url: str
    password_file: Path | None = None
    connections: int = 20

    def password(self) -> str | None:
        """The password in ``password_file``, without the final newline."""
        return None if self.password_file is None else read_secret(self.password_file)


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Who may call: bearers of a secret in one of the files. Two files while one is replaced."""

    secret_files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class CallbackConfig:
    """Where the rssp wants to be told of an ending, and what such a message is signed with.

    Standard Webhooks: a secret is ``whsec_`` and base64 of 24 to 64 bytes. Every file's secret
    signs, so that the rssp can change from one to the next.
    """

    url: str
    secret_files: tuple[Path, ...]
    timeout: float = 10.0
    give_up: int = 86_400  # after this long the message stays undelivered and the log says so


@dataclass(frozen=True, slots=True)
class TimingConfig:
    """How this adapter works off its rows."""

    grace: int = (
        120  # beyond a deadline or a cancelling, to collect what the phone did all the same
    )
    longest: int = 600  # a deadline lies at most this far away
    retention: int = 30 * 86_400
    concurrency: int = 200  # calls to one operator at a time, of each process; call-backs likewise
    tick: float = 0.25  # between looks for rows that are due


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """One operator's MSSP, and what was agreed with it.

    ``url`` may hold ``{port}``: SOAP puts ``MSS_SignaturePort`` and so on there, JSON ``sign``,
    ``status``, ``receipt``, ``profile``, ``registration``. Without it everything goes to one URL.
    """

    name: str
    url: str
    ap_id: str
    prefixes: tuple[str, ...] = ()  # of numbers, country code first; the longest that fits wins
    wire: str = "soap"  # soap | json
    mode: str = "asynchClientServer"  # or synch, asynchServerServer
    password_file: Path | None = None  # AP_PWD; most authenticate by certificate and want any text
    ca: Path | None = None  # PEM; None: the system's certificate authorities
    certificate: Path | None = None  # PEM, for mutual TLS
    key: Path | None = None
    mssp_uri: str | None = None
    profile: str | None = None  # URI of the signature profile
    format: str | None = None  # URI of the signature's form
    event_id: bool = True  # send the verification code as additional service
    user_lang: bool = True
    first_poll: float = 10.0  # FiCom: 20 s, since v2.2 10 s
    poll: float = 5.0
    connect_timeout: float = 5.0
    timeout: float = 20.0  # of a call that does not wait for a person
    notification_url: str | None = None  # base of this adapter as the operator reaches it
    notification_secret_file: Path | None = None
    text_gsm7: int = TextLimits().gsm7
    text_ucs2: int = TextLimits().ucs2
    text_prefix: str = ""

    @property
    def text_limits(self) -> TextLimits:
        """What its SIMs can show."""
        return TextLimits(self.text_gsm7, self.text_ucs2, self.text_prefix)

    @property
    def receipt_limits(self) -> TextLimits:
        """A receipt is one ordinary short message: 140 octets."""
        return TextLimits(min(self.text_gsm7, 160), min(self.text_ucs2, 70), self.text_prefix)


@dataclass(frozen=True, slots=True)
class SimAdapterConfig:
    """The whole file. A table of TOML is a member here."""

    database: DatabaseConfig
    api: ApiConfig
    operators: tuple[OperatorConfig, ...]
    listen: ListenConfig = field(default_factory=ListenConfig)
    callback: CallbackConfig | None = None
    timing: TimingConfig = field(default_factory=TimingConfig)
    management: ManagementConfig | None = None

    def __post_init__(self) -> None:
        names = [operator.name for operator in self.operators]
        if len(set(names)) != len(names) or not names:
            raise ConfigInvalid("operators: none, or two of the same name")
        if ":" in urlsplit(self.database.url).netloc.rpartition("@")[0]:
            raise ConfigInvalid("database.url holds a password: name a database.password_file")
        if not self.api.secret_files:
            raise ConfigInvalid("api.secret_files: at least one")
        if self.callback is not None:
            _check_url("callback.url", self.callback.url)
            if not self.callback.secret_files:
                raise ConfigInvalid("callback.secret_files: at least one")
        for operator in self.operators:
            _check_operator(operator)
            _check_texts(operator)


def load(path: Path) -> SimAdapterConfig:
    """The configuration in the TOML file ``path``; relative paths in it start at its folder."""
    try:
        members = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigInvalid(f"{path}: {error}") from error
    return read(members, path.parent)


def read(members: Mapping[str, Any], folder: Path) -> SimAdapterConfig:
    """The configuration of parsed TOML; ``ConfigInvalid`` names the first wrong key."""
    return typing.cast("SimAdapterConfig", _table(SimAdapterConfig, members, folder, ""))


def read_secret(path: Path) -> str:
    """The secret in ``path``, without the final newline; ``ConfigInvalid`` when there is none."""
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path}: {error}") from error
    if not secret:
        raise ConfigInvalid(f"{path}: is empty")
    return secret


def _table(kind: type[Any], members: Mapping[str, Any], folder: Path, name: str) -> object:
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in members:
        if key not in known:
            raise ConfigInvalid(f"{name}{key}: there is no such key")
    values = {}
    for key, item in known.items():
        if key in members:
            values[key] = _value(hints[key], members[key], folder, f"{name}{key}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise ConfigInvalid(f"{name}{key}: is missing")
    return kind(**values)


def _value(hint: Any, value: object, folder: Path, name: str) -> object:  # noqa: ANN401 - whatever get_type_hints gives
    if isinstance(hint, types.UnionType):
        hint = next(choice for choice in typing.get_args(hint) if choice is not types.NoneType)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _table(typing.cast("type[Any]", hint), value, folder, f"{name}.")
    if hint is Path and isinstance(value, str):
        return folder / value
    if hint is float and type(value) in {int, float}:
        return float(typing.cast("float", value))
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        inside = typing.get_args(hint)[0]
        return tuple(_value(inside, item, folder, f"{name}[{at}]") for at, item in enumerate(value))
    if hint in {str, int, bool} and type(value) is hint:
        return value
    raise ConfigInvalid(f"{name}: {value!r} is not of type {getattr(hint, '__name__', hint)}")


def _check_operator(operator: OperatorConfig) -> None:
    name = f"operators.{operator.name}"
    _check_url(f"{name}.url", operator.url)
    if operator.wire not in {"soap", "json"}:
        raise ConfigInvalid(f"{name}.wire: {operator.wire!r} is neither soap nor json")
    if operator.mode not in {"synch", "asynchClientServer", "asynchServerServer"}:
        raise ConfigInvalid(f"{name}.mode: {operator.mode!r} is no messaging mode")
    if (operator.certificate is None) != (operator.key is None):
        raise ConfigInvalid(f"{name}: certificate and key belong together")
    pushed = operator.notification_url, operator.notification_secret_file
    if operator.mode == "asynchServerServer" and None in pushed:
        raise ConfigInvalid(f"{name}: notification_url and notification_secret_file are needed")
    if not all(prefix.isdecimal() and prefix[0] != "0" for prefix in operator.prefixes):
        raise ConfigInvalid(f"{name}.prefixes: digits, country code first, no plus")
    if min(operator.poll, operator.timeout, operator.connect_timeout) <= 0:
        raise ConfigInvalid(f"{name}: a duration is not above zero")


def _check_texts(operator: OperatorConfig) -> None:
    """That phones can show the prefix, and a text beside it, also in a receipt."""
    name = f"operators.{operator.name}"
    for limits in (operator.text_limits, operator.receipt_limits):
        if limits.room < _LEAST_ROOM:
            raise ConfigInvalid(f"{name}: room for less than {_LEAST_ROOM} characters of a text")
        try:
            display_text.check(limits.prefix + "x", limits)
        except TextRefused as error:
            raise ConfigInvalid(f"{name}.text_prefix: {error}") from error


def _check_url(name: str, url: str) -> None:
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or local) or not parts.hostname:
        raise ConfigInvalid(f"{name}: {url!r} is not an https URL (http only for loopback)")
    if parts.fragment or parts.username or url.endswith("/"):
        raise ConfigInvalid(f"{name}: {url!r} has a user, a fragment or a final slash")
