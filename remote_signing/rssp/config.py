"""The rssp's configuration: one TOML file, read once, refused when anything is missing or unknown.

Secrets are files named by the configuration (the database password), never values in it, in the
environment or on the command line. Durations are seconds. Every key that has a safe value for all
installations has a default here; a key that depends on the place (addresses, names, policy OIDs)
has none, so that nobody runs with somebody else's.
"""

from __future__ import annotations

import ipaddress
import math
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path  # noqa: TC003 - the tables are read by what the hints name
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from remote_signing.rssp.config_attachments import AttachmentsConfig  # noqa: TC001 - as above
from remote_signing.rssp.config_management import ManagementConfig  # noqa: TC001 - as above
from remote_signing.rssp.config_push import PushConfig  # noqa: TC001 - as Path above
from remote_signing.rssp.config_sim import SimConfig  # noqa: TC001 - as Path above
from remote_signing.rssp.config_tables import ConfigInvalid, table
from remote_signing.rssp.openid_config import OpenidConfig  # noqa: TC001 - a table of the file

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Who runs the service: the answer of CSC ``info``, and the issuer in an otpauth URI."""

    name: str
    logo: str  # URI of a PNG, JPEG or SVG image
    region: str  # ISO 3166-1 alpha-2 code of the country
    description: str
    lang: str = "vi"  # RFC 5646; of texts that the client chose no language for


@dataclass(frozen=True, slots=True)
class UrlConfig:
    """How the world reaches the service. Nothing is derived from a request's Host header."""

    issuer: str  # https; OAuth issuer (RFC 8414) and base of /oauth2, /csc and /consent
    consent: str  # https; the consent page, to which /oauth2/authorize sends the signer


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where uvicorn listens, behind the TLS-terminating proxy. ``workers`` are processes."""

    host: str = "127.0.0.1"
    port: int = 8400
    workers: int = 1
    notice: int = 3  # seconds after SIGTERM in which /readyz says no and work still comes in
    drain: int = 20  # seconds after that until what is still running is cut off


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """``sqlite:////path`` or ``postgresql+psycopg://role@host/name``; no password in the URL."""

    url: str
    password_file: Path | None = None
    connections: int = 20  # of each process; who finds none within 5 s is told to come back

    def password(self) -> str | None:
        """The password in ``password_file``, without the final newline."""
        if self.password_file is None:
            return None
        return self.password_file.read_text(encoding="utf-8").rstrip("\n")


@dataclass(frozen=True, slots=True)
class SamConfig:
    """The SAM: a Unix socket on this host, or TLS with certificates on both sides."""

    socket: Path | None = None
    host: str | None = None
    port: int = 8500
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    # Of a whole call; longer than the SAM's own worst case, which is twice its deadlines for wait
    # and activation (20 s as delivered). Else a signature is given up that is still being made.
    timeout: float = 25.0


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The TLS-terminating proxy. Its header counts only from a ``trusted`` address (CIDR).

    The proxy must remove this header from what clients send.
    """

    trusted: tuple[str, ...] = ()
    certificate_header: str = "X-Client-Certificate"  # URL-escaped PEM of a verified certificate

    def trusts(self, address: str | None) -> bool:
        """Whether a peer at ``address`` is the proxy."""
        try:
            peer = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(peer in ipaddress.ip_network(network) for network in self.trusted)


@dataclass(frozen=True, slots=True)
class LifetimeConfig:
    """How long things live, in seconds, with the bound that must not be passed."""

    request_uri: int = 90  # RFC 9126 asks for 5 to 600; FAPI 2.0 for less than 600
    activation: int = 300  # how long the signer has to answer
    decoupled: int = 43_200  # the same for a request with requestDetails; ends at its deadline
    code: int = 60  # FAPI 2.0: at most 60
    service_token: int = 3600
    refresh_token: int = 30 * 86400
    refresh_family: int = 180 * 86400  # from the consent on, however often its tokens are renewed
    session_idle: int = 30 * 60
    session: int = 12 * 3600
    signing: int = 60  # a signature that takes longer is of unknown outcome; > 2 * sam.timeout
    # Finished activations are kept so long; the audit table for ever. A used one-time code is known
    # as used by its activation's row, so the row must outlive the code by far: at least 600.
    retention: int = 30 * 86400


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """What the installation allows."""

    certificate_policies: tuple[str, ...] = ()  # OIDs that credentials/create may ask for
    attempt_limit: int = 5  # wrong PIN or code in a row until a credential is locked
    sign_in_limit: int = 10  # wrong passwords in a row until sign-in pauses
    sign_in_pause: int = 900  # seconds
    max_signatures: int = 100  # of one authorisation, whatever a credential's multisign says
    # Whether the signer must pick the portal's code among three for a request that came by itself.
    code_match: bool = True
    max_batch: int = 20  # decoupled requests that one evidence may approve together; at most 50


@dataclass(frozen=True, slots=True)
class DocumentsConfig:
    """Signed documents (``signDoc``): what one may cost, and how many are worked on at once."""

    workers: int = 2  # processes of each process of the rssp; none runs before the first document
    waiting: int = 8  # stages that may wait for one of them; who comes then is told to come back
    seconds: float = 30.0  # of one stage: read and prepare, put the signature in place, seal
    memory: int = 2048  # megabytes of address space of one process
    largest: int = 140 * 1024 * 1024  # bytes of a request: 100 MB of documents in base64
    folder: Path | None = None  # where documents lie meanwhile; None: the system's for such files


@dataclass(frozen=True, slots=True)
class ValidationConfig:
    """``POST /validate``, which is open to everybody: what one file may cost, who is trusted."""

    workers: int = 1  # processes of each process of the rssp; 0: not offered
    waiting: int = 4  # files that may wait for one of them; who comes then is told to come back
    seconds: float = 30.0  # of one file
    memory: int = 2048  # megabytes of address space of one process
    largest: int = 100 * 1024 * 1024  # bytes of a request
    signatures: int = 50  # in one file
    own: bool = True  # whether the embedded authority's root is an anchor
    # Folder with anchors (.pem, .crt, .cer, .der) and CRLs (.crl) that the installation keeps
    # fresh; nothing is fetched.
    trust: Path | None = None
    folder: Path | None = None  # where files lie meanwhile; None: the system's for such files


@dataclass(frozen=True, slots=True)
class CscConfig:
    """What of the CSC API is offered, and how exactly clients must speak it."""

    strict: bool = False  # nothing but the standard's own spelling, see docs/csc-divergences.md
    # The client whose tokens auth/login gives for a signer's password; without it there is none.
    login_client: str | None = None
    signature_qualifier: str | None = None  # of every certificate here, such as eu_eidas_qes


@dataclass(frozen=True, slots=True)
class AsynchronousConfig:
    """``operationMode`` "A": signatures that are made after the answer."""

    threads: int = 2  # of each process; 0: not offered
    validity: int = 3600  # seconds that an outcome is kept, unless the client says
    longest_validity: int = 86400
    # Megabytes of documents waiting for their signature, or for being fetched, above which no
    # further one is taken; and seconds that one is still there after it was fetched first.
    kept: int = 1024
    fetched: int = 600
    # Networks (CIDR) that a response_uri may lead to beside the public internet.
    callback_networks: tuple[str, ...] = ()
    callback_tries: int = 10  # over about ten minutes


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Telling clients of answers. Without this table none is told; they ask.

    Addresses are checked as ``response_uri`` is, and the same ``callback_networks`` are allowed.
    """

    key_files: tuple[Path, ...]  # seal the clients' secrets: the first new ones, all of them old
    threads: int = 2  # of each process
    retention: int = 7 * 86400  # seconds that a delivered message is kept on record


@dataclass(frozen=True, slots=True)
class TimestampConfig:
    """Outside time-stamping authorities, for when our own cannot; none is asked by default."""

    authorities: tuple[str, ...] = ()  # URLs (RFC 3161 over HTTP), in the order of asking
    trust: Path | None = None  # PEM file with the anchors that their certificates lead to
    timeout: float = 20.0  # of one exchange; some national authorities need minutes


@dataclass(frozen=True, slots=True)
class RsspConfig:
    """The whole file. A table of TOML is a member here."""

    service: ServiceConfig
    urls: UrlConfig
    database: DatabaseConfig
    sam: SamConfig
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    listen: ListenConfig = field(default_factory=ListenConfig)
    proxy: ProxyConfig = field(default_factory=ProxyConfig)
    lifetimes: LifetimeConfig = field(default_factory=LifetimeConfig)
    sim: SimConfig | None = None
    csc: CscConfig = field(default_factory=CscConfig)
    asynchronous: AsynchronousConfig = field(default_factory=AsynchronousConfig)
    timestamps: TimestampConfig = field(default_factory=TimestampConfig)
    documents: DocumentsConfig = field(default_factory=DocumentsConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    webhooks: WebhookConfig | None = None
    attachments: AttachmentsConfig | None = None
    management: ManagementConfig | None = None
    push: PushConfig | None = None
    openid: OpenidConfig | None = None

    def __post_init__(self) -> None:
        _check_urls(self.urls)
        _check_sam(self.sam)
        _check_lifetimes(self.lifetimes)
        _check_networks("proxy.trusted", self.proxy.trusted)
        _check_networks("asynchronous.callback_networks", self.asynchronous.callback_networks)
        _check_asynchronous(self.asynchronous)
        if self.timestamps.authorities and self.timestamps.trust is None:
            raise ConfigInvalid("timestamps.trust: outside authorities need trust anchors")
        _check_database(self.database)
        _check_validation(self.validation)
        if not 0 <= self.policy.max_batch <= _LARGEST_BATCH:
            raise ConfigInvalid(f"policy.max_batch: not 0 to {_LARGEST_BATCH}")
        if self.webhooks is not None and not (self.webhooks.key_files and self.webhooks.threads):
            raise ConfigInvalid("webhooks: key_files and threads are needed")
        # Else a call that still runs could be taken for one whose process died.
        if self.lifetimes.signing <= 2 * self.sam.timeout:
            told = f"{self.lifetimes.signing} is not more than twice sam.timeout"
            raise ConfigInvalid(f"lifetimes.signing: {told} ({self.sam.timeout})")


def load(path: Path) -> RsspConfig:
    """The configuration in the TOML file ``path``; relative paths in it start at its folder."""
    try:
        members = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigInvalid(f"{path}: {error}") from error
    return read(members, path.parent)


def read(members: Mapping[str, Any], folder: Path) -> RsspConfig:
    """The configuration of parsed TOML; ``ConfigInvalid`` names the first wrong key."""
    return cast("RsspConfig", table(RsspConfig, members, folder, ""))


def _check_urls(urls: UrlConfig) -> None:
    for name, url in (("urls.issuer", urls.issuer), ("urls.consent", urls.consent)):
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
        if not (parts.scheme == "https" or local) or not parts.hostname:
            raise ConfigInvalid(f"{name}: {url!r} is not an https URL (http only for loopback)")
        if parts.query or parts.fragment or url.endswith("/"):
            raise ConfigInvalid(f"{name}: {url!r} has a query, a fragment or a final slash")


def _check_sam(sam: SamConfig) -> None:
    if (sam.socket is None) == (sam.host is None):
        raise ConfigInvalid("sam: name either socket or host")
    if sam.host is not None and None in {sam.ca, sam.certificate, sam.key}:
        raise ConfigInvalid("sam: ca, certificate and key are needed beside host")


_LARGEST_BATCH = 50  # the SAM's own limit


def _check_database(database: DatabaseConfig) -> None:
    if ":" in (urlsplit(database.url).netloc.rpartition("@")[0]):
        raise ConfigInvalid("database.url holds a password: name a database.password_file")
    if database.password_file is not None and database.url.startswith("sqlite"):
        raise ConfigInvalid("database.password_file: a file of SQLite has no password")


def _check_validation(validation: ValidationConfig) -> None:
    if validation.workers < 0 or validation.waiting < 0 or validation.signatures < 1:
        raise ConfigInvalid(
            "validation: workers, waiting and signatures cannot be negative or none"
        )
    if validation.trust is not None and not validation.trust.is_dir():
        raise ConfigInvalid(f"validation.trust: {validation.trust} is no folder")


_SHORTEST = {"retention": 600}
# The SAM takes no question that lives longer than a day.
_LONGEST = {
    "request_uri": 599,
    "activation": 3600,
    "decoupled": 86_000,
    "code": 60,
    "service_token": 3600,
}


def _check_lifetimes(lifetimes: LifetimeConfig) -> None:
    for item in fields(lifetimes):
        value = getattr(lifetimes, item.name)
        shortest, longest = _SHORTEST.get(item.name, 1), _LONGEST.get(item.name, math.inf)
        if not shortest <= value <= longest:
            told = f"{value} is not within {shortest} and {longest}"
            raise ConfigInvalid(f"lifetimes.{item.name}: {told}")


def _check_networks(name: str, networks: tuple[str, ...]) -> None:
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigInvalid(f"{name}: {error}") from None


def _check_asynchronous(asynchronous: AsynchronousConfig) -> None:
    if not 0 < asynchronous.validity <= asynchronous.longest_validity:
        raise ConfigInvalid("asynchronous.validity: is not within 1 and longest_validity")
    if asynchronous.threads < 0 or asynchronous.callback_tries < 1:
        raise ConfigInvalid("asynchronous: threads and callback_tries cannot be negative or none")
    if asynchronous.kept < 1 or asynchronous.fetched < 1:
        raise ConfigInvalid("asynchronous: kept and fetched are above zero")
