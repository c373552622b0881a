"""The SAM's configuration: one TOML file, read once, no secret in it and no default for one.

PINs and TLS keys are named by file. A file named ``credential:NAME`` is looked up, when it is
needed, in the folder that systemd's ``LoadCredential=`` fills (:func:`secret_file`); whoever only
reads the configuration needs none. Relative paths start beside the configuration file.
"""

from __future__ import annotations

import base64
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography import x509
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from remote_signing.errors import InvalidInput

_CREDENTIAL = "credential:"
_ORIGIN = re.compile(r"https?://(?P<host>[a-z0-9.-]{1,253})(?::[1-9][0-9]{0,4})?")


def _placed(path: Path, info: ValidationInfo) -> Path:
    """``path`` as an absolute one."""
    base = (info.context or {}).get("base")
    return path if base is None or str(path).startswith(_CREDENTIAL) else base / path


def _raw_key(value: object) -> object:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def secret_file(path: Path) -> Path:
    """Where the secret that the configuration calls ``path`` lies; ``InvalidInput`` if nowhere.

    A file that everybody may use is refused. Group bits mean nothing: systemd shows credentials as
    0440, with an access list.
    """
    if str(path).startswith(_CREDENTIAL):
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if folder is None:
            raise InvalidInput(f"systemd passed no credentials ($CREDENTIALS_DIRECTORY): {path}")
        path = Path(folder) / str(path).removeprefix(_CREDENTIAL)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InvalidInput(str(error)) from error
    if mode & stat.S_IRWXO:
        raise InvalidInput(f"everybody may use {path}: chmod o-rwx")
    return path


def _ascii_url(value: str) -> str:
    """An address as it will stand in certificates (IA5String)."""
    if not (value.isascii() and value.startswith(("http://", "https://"))):
        raise ValueError("not an ASCII http address")
    return value


def _object_identifier(value: str) -> str:
    try:
        return x509.ObjectIdentifier(value).dotted_string
    except ValueError:
        raise ValueError("not an object identifier") from None


PlacedPath = Annotated[Path, AfterValidator(_placed)]
RawKey = Annotated[bytes, BeforeValidator(_raw_key), Field(min_length=32, max_length=32)]


Url = Annotated[str, AfterValidator(_ascii_url)]
Oid = Annotated[str, AfterValidator(_object_identifier)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeConfig(_Section):
    """One HSM node: a PKCS#11 module and token, with the environment its module reads."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    module: PlacedPath
    token_label: str
    pin_file: PlacedPath
    environment: dict[str, str] = {}
    workers: int = Field(default=2, ge=1, le=64)


class TlsConfig(_Section):
    """The SAP over TCP: our certificate, the CA of our callers, and which names may call."""

    host: str
    port: int
    certificate: PlacedPath
    key: PlacedPath
    client_ca: PlacedPath
    client_names: frozenset[str]


class AuthorityConfig(_Section):
    """What certificates of the embedded CA point to, and how long what it says of them holds."""

    policy_oid: Oid
    practice_statement_url: Url
    crl_url: Url
    ocsp_url: Url
    issuer_url: Url
    ocsp_seconds: int = Field(default=3600, ge=60, le=7 * 86400)
    crl_seconds: int = Field(default=86400, ge=600, le=30 * 86400)
    # ETSI EN 319 421 cl. 5.2, the baseline policy; an authority with a policy of its own names it.
    timestamp_policy_oid: Oid = "0.4.0.2023.1.1"
    timestamp_accuracy_ms: int = Field(default=1000, ge=1, le=60_000)


class SimAnchorConfig(_Section):
    """A certification authority (PEM) whose certificates on SIMs are accepted, and on what terms.

    ``revocation``: ``require`` a status within its time; ``allow_for`` also one that ran out at
    most ``allow_for_seconds`` ago (the responder is away); ``off`` where an operator gives none.
    A status that says "revoked" is heeded in each case.
    """

    certificate: PlacedPath
    revocation: Literal["require", "allow_for", "off"] = "require"
    allow_for_seconds: int = Field(default=0, ge=0, le=7 * 86_400)


class SimConfig(_Section):
    """SIM factors: what consents say they are for, and whose certificates are believed.

    ``embedded_authority`` adds this cluster's own issuing authority. Its SIM certificates need no
    status: the SAM's own revocation list is their status.
    """

    service_id: str = Field(pattern=r"^[\x21-\x7e]{1,64}$")
    anchors: tuple[SimAnchorConfig, ...] = Field(default=(), max_length=16)
    embedded_authority: bool = False
    key_usage: Literal["content_commitment", "digital_signature", "either"] = "content_commitment"


class PasskeyConfig(_Section):
    """Passkeys as factors: for which site (WebAuthn cl. 4, "RP ID"), asked from which origins.

    ``registration`` by evidence of the factors there are, or only by the registration authority's
    order. ``cool_off_seconds`` must pass before a passkey counts that its owner registered alone;
    ``synced_at_scal2`` takes passkeys there that a provider may copy to other devices.
    """

    rp_id: str = Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
    origins: tuple[str, ...] = Field(min_length=1, max_length=8)
    registration: Literal["evidence", "order"] = "evidence"
    cool_off_seconds: int = Field(default=86_400, ge=0, le=30 * 86_400)
    synced_at_scal2: bool = False

    @model_validator(mode="after")
    def _check_origins(self) -> Self:
        for origin in self.origins:
            found = _ORIGIN.fullmatch(origin)
            host = found["host"] if found else ""
            if not f".{host}".endswith(f".{self.rp_id}"):
                raise ValueError(f"{origin} is not an origin of {self.rp_id}")
            if not origin.startswith("https:") and host != "localhost":
                raise ValueError(f"{origin} is not an https origin")
        return self


class Deadlines(_Section):
    """Seconds. ``wait`` is for an idle worker; the others bound one verb's work.

    ``activation`` and ``enrolment`` are for a short request; a longer one has more
    (:data:`remote_signing.sap.EACH_KILOBYTE`). Clients wait twice as long, and twice ``wait``.
    """

    wait: float = 5.0
    start: float = 15.0
    canary: float = 2.0
    activation: float = 5.0
    enrolment: float = 120.0
    drain: float = 15.0


class SamConfig(_Section):
    """Everything a SAM host is told. ``registration_keys``: key id → raw Ed25519 public key."""

    nodes: tuple[NodeConfig, ...] = Field(min_length=1)
    cluster_file: PlacedPath
    state_folder: PlacedPath
    socket: PlacedPath
    allowed_uids: frozenset[int]
    registration_keys: dict[str, RawKey]
    authority: AuthorityConfig
    services_file: PlacedPath | None = None
    tls: TlsConfig | None = None
    sim: SimConfig | None = None
    passkey: PasskeyConfig | None = None
    # Health and figures; whoever reaches them may read them, so loopback or operators' network.
    health_port: int | None = Field(default=None, ge=0, le=65535)
    health_host: str = "127.0.0.1"
    deadlines: Deadlines = Deadlines()
    sad_lifetime_ms: int = Field(default=300_000, ge=1_000, le=300_000)
    attempt_limit: int = Field(default=10, ge=3, le=100)
    recycle_after: int = Field(default=100_000, ge=1)
    probe_every: float = Field(default=5.0, gt=0)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError("two nodes have the same name")
        return self

    @property
    def service_keys_file(self) -> Path:
        """Keys of OCSP and time stamps, under the KEK: ``service-keys.json`` beside the cluster."""
        return self.services_file or self.cluster_file.with_name("service-keys.json")

    def node(self, name: str) -> NodeConfig:
        """The node called ``name``."""
        return next(node for node in self.nodes if node.name == name)


def load(path: Path) -> SamConfig:
    """Read the file at ``path``; ``InvalidInput`` says which key is wrong."""
    try:
        members = tomllib.loads(path.read_text("utf-8"))
        return SamConfig.model_validate(members, context={"base": path.resolve().parent})
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidInput(f"{path}: {error}") from error
