"""The SAM's configuration: one TOML file, read once, no secret in it and no default for one.

PINs and TLS keys are named by file. A file named ``credential:NAME`` is looked up in the folder
that systemd's ``LoadCredential=`` fills. Relative paths start beside the configuration file.
"""

from __future__ import annotations

import base64
import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from remote_signing.errors import InvalidInput

_CREDENTIAL = "credential:"


def _placed(path: Path, info: ValidationInfo) -> Path:
    """``path`` as an absolute one."""
    name = str(path)
    if name.startswith(_CREDENTIAL):
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if folder is None:
            raise ValueError("systemd passed no credentials")
        return path.__class__(folder) / name.removeprefix(_CREDENTIAL)
    base = (info.context or {}).get("base")
    return path if base is None else base / path


def _raw_key(value: object) -> object:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


PlacedPath = Annotated[Path, AfterValidator(_placed)]
RawKey = Annotated[bytes, BeforeValidator(_raw_key), Field(min_length=32, max_length=32)]


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
    """What end-entity certificates of the embedded CA point to."""

    policy_oid: str = Field(pattern=r"^[0-2](\.\d+)+$")
    practice_statement_url: str
    crl_url: str
    ocsp_url: str
    issuer_url: str


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


class Deadlines(_Section):
    """Seconds. ``wait`` is for an idle worker; the others bound one verb's work."""

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
    tls: TlsConfig | None = None
    sim: SimConfig | None = None
    health_port: int | None = Field(default=None, ge=0, le=65535)
    deadlines: Deadlines = Deadlines()
    sad_lifetime_ms: int = Field(default=300_000, ge=1_000, le=300_000)
    attempt_limit: int = Field(default=10, ge=3, le=100)
    recycle_after: int = Field(default=100_000, ge=1)
    probe_every: float = Field(default=5.0, gt=0)

    def node(self, name: str) -> NodeConfig:
        """The node called ``name``."""
        return next(node for node in self.nodes if node.name == name)


def load(path: Path) -> SamConfig:
    """Read the file at ``path``; ``InvalidInput`` says which key is wrong."""
    try:
        members = tomllib.loads(path.read_text("utf-8"))
        return SamConfig.model_validate(members, context={"base": path.resolve().parent})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidInput(f"{path}: {error}") from error
