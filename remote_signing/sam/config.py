"""The SAM's configuration: one TOML file, read once, no secret in it and no default for one.

PINs and TLS keys are named by file. A file named ``credential:NAME`` is looked up in the folder
that systemd's ``LoadCredential=`` fills. Relative paths start beside the configuration file.
"""

from __future__ import annotations

import base64
import os
import tomllib
from pathlib import Path
from typing import Annotated

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
    """What certificates of the embedded CA point to, and how long what it says of them holds."""

    policy_oid: str = Field(pattern=r"^[0-2](\.\d+)+$")
    practice_statement_url: str
    crl_url: str
    ocsp_url: str
    issuer_url: str
    ocsp_seconds: int = Field(default=3600, ge=60, le=7 * 86400)
    crl_seconds: int = Field(default=86400, ge=600, le=30 * 86400)
    # ETSI EN 319 421 cl. 5.2, the baseline policy; an authority with a policy of its own names it.
    timestamp_policy_oid: str = Field(default="0.4.0.2023.1.1", pattern=r"^[0-2](\.\d+)+$")
    timestamp_accuracy_ms: int = Field(default=1000, ge=1, le=60_000)


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
    services_file: PlacedPath | None = None
    tls: TlsConfig | None = None
    health_port: int | None = Field(default=None, ge=0, le=65535)
    deadlines: Deadlines = Deadlines()
    sad_lifetime_ms: int = Field(default=300_000, ge=1_000, le=300_000)
    attempt_limit: int = Field(default=10, ge=3, le=100)
    recycle_after: int = Field(default=100_000, ge=1)
    probe_every: float = Field(default=5.0, gt=0)

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
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidInput(f"{path}: {error}") from error
