"""The table ``[sim]``: how SIMs are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the table is read by what the hints name
from urllib.parse import urlsplit

from remote_signing.rssp.config_tables import ConfigInvalid

_LONGEST_PARTY = 40
_LONGEST_CRLS = 2


@dataclass(frozen=True, slots=True)
class SimConfig:
    """The SIM adapter, and how it is used. Without this table no SIM is asked."""

    url: str  # of the adapter; https, or http on loopback
    secret_file: Path  # the bearer secret that the adapter knows
    relying_party: str  # at most 40 characters; a SIM shows it when it is enrolled
    callback_secret_files: tuple[Path, ...] = ()  # Standard Webhooks; two while one is replaced
    ca: Path | None = None  # PEM; None: the system's certificate authorities
    timeout: float = 10.0  # of a call that waits for nobody
    patience: int = 120  # how long a phone is asked; never beyond the request's own end
    profile_age: int = 3600  # the operator is asked again whose SIM it is when it was so long ago
    mode: str = "structure"  # of new SIMs: structure, digest or text (docs/sim-consent.md)
    ocsp_url: str | None = None  # status of SIM certificates, stapled to the evidence
    crl_files: tuple[Path, ...] = ()  # DER, kept fresh by the installation

    def read_secret(self) -> str:
        """The bearer secret, without the final newline."""
        return self.secret_file.read_text(encoding="utf-8").rstrip("\n")

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
        if not (parts.scheme == "https" or local) or self.url.endswith("/"):
            raise ConfigInvalid(
                f"sim.url: {self.url!r} is not an https URL (http only for loopback)"
            )
        if not 0 < len(self.relying_party) <= _LONGEST_PARTY:
            raise ConfigInvalid(f"sim.relying_party: not 1 to {_LONGEST_PARTY} characters")
        if self.mode not in {"structure", "digest", "text"}:
            raise ConfigInvalid(f"sim.mode: {self.mode!r} is no mode of a SIM")
        if self.timeout <= 0 or self.patience <= 0 or len(self.crl_files) > _LONGEST_CRLS:
            raise ConfigInvalid("sim: timeout and patience are above zero, crl_files at most two")
