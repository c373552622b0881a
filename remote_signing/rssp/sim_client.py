"""Client of the SIM adapter's HTTP API (docs/sim-adapter.md).

What the adapter says is a message from outside: it can end a question, and a signature that it
brings counts for what the SAM finds it to be. Its answers are read within bounds and by shape.
"""

from __future__ import annotations

import base64
import logging
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from remote_signing import strict_json
from remote_signing.errors import (
    InvalidInput,
    SimAdapterAway,
    SimBusy,
    SimRequestRefused,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.rssp.config_sim import SimConfig

OPEN = frozenset({"CREATED", "SENT", "DELIVERED"})
_BUSY = "sim_busy"
_SERVER_ERROR = 500
_LONGEST_ANSWER = 256 * 1024
_SHORT_TIMEOUT = 2.0  # where there is an answer without one
_TEXTS_AGE = 300.0  # seconds
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How something ended: ``name`` for programs, ``cause`` for a person."""

    name: str
    cause: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the adapter tells of a question. ``signature`` is (format, value)."""

    state: str
    version: int
    outcome: Outcome | None
    signature: tuple[str, bytes] | None


@dataclass(frozen=True, slots=True)
class Room:
    """What a text must begin with, and how many characters of any kind fit beside that."""

    prefix: str
    characters: int


@dataclass(frozen=True, slots=True)
class Texts:
    """What an operator's phones can show: as a question, and as a receipt."""

    question: Room
    receipt: Room


USUAL_TEXTS = Texts(Room("", 119), Room("", 70))


@dataclass(frozen=True, slots=True)
class Registration:
    """A key that is being made in a SIM; ``proof`` is its bare signature of possession."""

    state: str
    version: int
    operator: str
    outcome: Outcome | None
    public_key: bytes | None
    proof: bytes | None
    iccid: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """What the operator says of a number now. ``leaves`` are the certificates on its SIM (DER)."""

    operator: str
    outcome: Outcome
    is_known: bool
    iccid: str | None
    network: str | None
    leaves: tuple[bytes, ...]


class SimAdapter:
    """The adapter. Thread-safe. ``SimAdapterAway``, ``SimRequestRefused``, ``SimBusy``."""

    def __init__(self, config: SimConfig, transport: httpx.BaseTransport | None = None) -> None:
        self._headers = {"Authorization": f"Bearer {config.read_secret()}"}
        self._url, self._timeout = config.url, config.timeout
        self._verify = ssl.create_default_context(cafile=config.ca)
        self._http = httpx.Client(
            base_url=config.url,
            headers=self._headers,
            timeout=config.timeout,
            verify=self._verify,
            transport=transport,
            trust_env=False,
        )
        self._texts: dict[str, tuple[float, Texts]] = {}

    def begin(self, name: str, order: Mapping[str, object]) -> Told:
        """Ask a SIM, or find the question that the same ``order`` made before."""
        return _told(self._ask("PUT", f"/v1/transactions/{name}", order))

    def read(self, name: str) -> Told:
        """How the question stands."""
        return _told(self._ask("GET", f"/v1/transactions/{name}"))

    async def wait(self, name: str, version: int, seconds: float) -> Told:
        """How it stands once its version is above ``version``, or after ``seconds``.

        A client of its own: who waits holds no thread and none of the others' connections.
        """
        given = {"wait": f"{seconds:.1f}", "version": str(version)}
        try:
            async with httpx.AsyncClient(
                base_url=self._url,
                headers=self._headers,
                timeout=self._timeout + seconds,
                verify=self._verify,
                trust_env=False,
            ) as http:
                answer = await http.get(f"/v1/transactions/{name}", params=given)
        except httpx.HTTPError as error:
            raise SimAdapterAway(f"SIM adapter: {error!r}") from error
        return _told(_members(answer))

    def cancel(self, name: str) -> Told:
        """Withdraw the question; ``SimRequestRefused`` when it has another end already."""
        return _told(self._ask("POST", f"/v1/transactions/{name}/cancel"))

    def receipt(self, name: str, message: str) -> None:
        """Have the phone show ``message`` about a question that was answered."""
        self._ask("POST", f"/v1/transactions/{name}/receipt", {"message": message})

    def register(self, name: str, order: Mapping[str, object]) -> Registration:
        """Have a key made in a SIM."""
        return _registration(self._ask("PUT", f"/v1/registrations/{name}", order))

    def registration(self, name: str) -> Registration:
        """How the making of the key stands."""
        return _registration(self._ask("GET", f"/v1/registrations/{name}"))

    def hand_over(self, name: str, certificate: bytes) -> None:
        """Give the operator the certificate (DER) for the key that was made."""
        body = {"certificate": base64.b64encode(certificate).decode("ascii")}
        self._ask("POST", f"/v1/registrations/{name}/certificate", body)

    def profile(self, msisdn: str, operator: str | None) -> Profile:
        """What the operator says of the number now."""
        body = {"msisdn": msisdn} | ({} if operator is None else {"operator": operator})
        return _profile(self._ask("POST", "/v1/profiles", body))

    def texts(self, operator: str) -> Texts:
        """What the operator's phones can show; told again once it is five minutes old.

        While the adapter does not tell, what it told last, or the usual: it checks each text.
        """
        at, known = self._texts.get(operator, (0.0, USUAL_TEXTS))
        if operator in self._texts and time.monotonic() - at < _TEXTS_AGE:
            return known
        path = f"/v1/operators/{quote(operator, safe='')}"
        try:
            known = _texts(self._ask("GET", path, timeout=_SHORT_TIMEOUT))
        except (SimAdapterAway, SimRequestRefused) as error:
            _log.warning("the usual room for texts", extra={"cause": error.cause})
            return known
        self._texts[operator] = (time.monotonic(), known)
        return known

    def is_ready(self) -> bool:
        """Whether it would take a request."""
        try:
            return self._http.get("/readyz", timeout=_SHORT_TIMEOUT).is_success
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        longest = self._timeout if timeout is None else timeout
        try:
            answer = self._http.request(method, path, json=body, timeout=longest)
        except httpx.HTTPError as error:
            raise SimAdapterAway(f"SIM adapter: {error!r}") from error
        return _members(answer)


def _members(answer: httpx.Response) -> dict[str, Any]:
    if len(answer.content) > _LONGEST_ANSWER:
        raise SimAdapterAway("SIM adapter: the answer is too long")
    try:
        members: dict[str, Any] = strict_json.loads_object(answer.content)
    except InvalidInput as error:
        raise SimAdapterAway(f"SIM adapter: {answer.status_code}, {error.cause}") from error
    if answer.is_success:
        return members
    code = str(members.get("code"))[:64]
    if answer.status_code >= _SERVER_ERROR:
        raise SimAdapterAway(f"SIM adapter: {answer.status_code} {code}")
    raise (SimBusy if code == _BUSY else SimRequestRefused)(code)


def _told(members: dict[str, Any]) -> Told:
    with _Reading():
        found = members["signature"]
        return Told(
            state=_text(members["state"]),
            version=int(members["version"]),
            outcome=_outcome(members["outcome"]),
            signature=None
            if found is None
            else (_text(found["format"]), base64.b64decode(found["value"], validate=True)),
        )


def _texts(members: dict[str, Any]) -> Texts:
    with _Reading():
        return Texts(_room(members["display_text"]), _room(members["receipt"]))


def _room(members: dict[str, Any]) -> Room:
    return Room(_text(members["prefix"]), int(members["room"]))


def _registration(members: dict[str, Any]) -> Registration:
    with _Reading():
        return Registration(
            state=_text(members["state"]),
            version=int(members["version"]),
            operator=_text(members["operator"]),
            outcome=_outcome(members["outcome"]),
            public_key=_bytes(members["public_key"]),
            proof=_bytes(members["proof"]),
            iccid=members["iccid"],
        )


def _profile(members: dict[str, Any]) -> Profile:
    with _Reading():
        network, outcome = members["network"], _outcome(members["outcome"])
        parts = [network["mcc"], network["mnc"]]
        chains = [item["chain"] for item in members["certificates"]]
        return Profile(
            operator=_text(members["operator"]),
            outcome=outcome or Outcome("", ""),
            is_known=outcome is not None and outcome.name == "REQUEST_OK",
            iccid=members["iccid"],
            network=None if None in parts else "/".join(map(str, parts)),
            leaves=tuple(base64.b64decode(chain[0], validate=True) for chain in chains if chain),
        )


class _Reading:
    """Whatever is amiss with an answer's shape is ``SimAdapterAway``."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is not None and issubclass(kind, KeyError | TypeError | ValueError | IndexError):
            raise SimAdapterAway(f"SIM adapter: an answer of another shape ({kind.__name__})")


def _outcome(members: dict[str, Any] | None) -> Outcome | None:
    if members is None:
        return None
    return Outcome(_text(members["name"])[:64], _text(members["cause"])[:300])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)
