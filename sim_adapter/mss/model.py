"""The messages of TS 102 204 as this project uses them, the same for both wires.

Names follow the standard in snake case. Times are aware datetimes; binary values are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

MessagingMode = Literal["synch", "asynchClientServer", "asynchServerServer"]
KeyMode = Literal["structure", "digest", "text"]

MIME_TEXT, MIME_BYTES, MIME_SHA256 = (
    "text/plain",
    "application/octet-stream",
    "application/x-sha256",
)
ENCODING_TEXT, ENCODING_BYTES = "UTF-8", "base64"

MSS = "http://uri.etsi.org/TS102204/v1.1.2#"
FICOM = "http://mss.ficom.fi/TS102204/v1.0.0#"
FORMAT_CMS = f"{MSS}CMS-Signature"
FORMAT_PKCS7 = f"{MSS}PKCS7"
FORMAT_PKCS1 = f"{FICOM}PKCS1"
SERVICE_EVENT_ID = f"{FICOM}eventId"
SERVICE_USER_LANG = f"{FICOM}userLang"


@dataclass(frozen=True, slots=True)
class ApInfo:
    """Who asks. ``trans_id`` is an NCName that an application provider never uses twice."""

    ap_id: str
    trans_id: str
    password: str = field(repr=False)
    instant: datetime
    url: str | None = None  # asynchServerServer: where the notification goes


@dataclass(frozen=True, slots=True)
class MsspInfo:
    """Who is asked. Both may be absent in a request."""

    uri: str | None = None
    instant: datetime | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """MessageAbstractType."""

    ap: ApInfo
    mssp: MsspInfo = MsspInfo()
    major: int = 1
    minor: int = 1


@dataclass(frozen=True, slots=True)
class Data:
    """DataType: text, or bytes in base64, as MIME type and encoding say."""

    value: str
    mime_type: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """An additional service; of its parameters, the verification code and the language."""

    uri: str
    event_id: str | None = None
    user_lang: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """SignatureType: a CMS (or PKCS#7) object, or a PKCS#1 value with its certificate."""

    value: bytes
    certificate: bytes | None = None  # DER; given with PKCS1 only

    @property
    def format(self) -> Literal["cms", "pkcs1"]:
        """``pkcs1`` is FiCom's name for a bare value, of RSA and of elliptic curves alike."""
        return "cms" if self.certificate is None else "pkcs1"


@dataclass(frozen=True, slots=True)
class SimCertificate:
    """A certificate that the operator holds for a SIM. ``chain`` is DER, the user's own first."""

    state: str | None
    algorithm: str | None
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SimProfile:
    """ProfileQueryExtension/Sscds/Sim: what the operator tells of a SIM."""

    state: str | None = None
    pin_blocked: bool | None = None
    certificates: tuple[SimCertificate, ...] = ()
    iccid: str | None = None
    mcc: str | None = None
    mnc: str | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Possession:
    """That a SIM holds the private key: its signature over the challenge, and which SIM it is."""

    proof: bytes
    iccid: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """StatusType. ``specifier`` is the nested second code of the FiCom profile."""

    code: int
    message: str | None = None
    specifier: int | None = None
    profile: SimProfile | None = None
    possession: Possession | None = None


@dataclass(frozen=True, slots=True)
class SignatureReq:
    """MSS_SignatureReq."""

    head: Head
    msisdn: str
    mode: MessagingMode
    dtbs: Data
    dtbd: Data | None = None
    profile: str | None = None
    services: tuple[Service, ...] = ()
    format: str | None = None
    timeout: int | None = None  # seconds
    validity: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignatureResp:
    """MSS_SignatureResp."""

    head: Head
    trans_id: str
    msisdn: str
    status: Status
    signature: Signature | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class StatusReq:
    """MSS_StatusReq."""

    head: Head
    trans_id: str


@dataclass(frozen=True, slots=True)
class StatusResp:
    """MSS_StatusResp; ``trans_id`` is there when it is a notification."""

    head: Head
    msisdn: str
    status: Status
    signature: Signature | None = None
    trans_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReceiptReq:
    """MSS_ReceiptReq."""

    head: Head
    trans_id: str
    msisdn: str
    status: Status | None = None
    message: Data | None = None


@dataclass(frozen=True, slots=True)
class ReceiptResp:
    """MSS_ReceiptResp."""

    head: Head
    status: Status


@dataclass(frozen=True, slots=True)
class ProfileReq:
    """MSS_ProfileReq. ``params`` are Swisscom's words for what to tell, space between."""

    head: Head
    msisdn: str
    params: str | None = None


@dataclass(frozen=True, slots=True)
class ProfileResp:
    """MSS_ProfileResp."""

    head: Head
    profiles: tuple[str, ...]
    status: Status


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """Make a key inside the SIM, and prove that it is there. No published schema has this."""

    credential_id: str  # what the key is for; part of the proof of possession
    challenge: bytes  # 32 bytes
    relying_party: str  # what the SIM shows from now on
    code: str
    timeout: int  # seconds
    algorithm: Literal["P256", "RSA2048"] = "P256"
    replace: bool = False  # whether a key that is there is destroyed
    mode: KeyMode = "structure"  # how the key will be asked to sign, and in no other way


@dataclass(frozen=True, slots=True)
class RegistrationReq:
    """MSS_RegistrationReq: make a key (``order``), or take its ``certificate``."""

    head: Head
    msisdn: str
    order: KeyOrder | None = None
    certificate: bytes | None = None


@dataclass(frozen=True, slots=True)
class RegistrationResp:
    """MSS_RegistrationResp. ``public_key`` is a DER SubjectPublicKeyInfo."""

    head: Head
    status: Status
    public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault, or its JSON twin."""

    code: int
    reason: str = ""
    detail: str = ""
    specifier: int | None = None


Request: TypeAlias = SignatureReq | StatusReq | ReceiptReq | ProfileReq | RegistrationReq
Answer: TypeAlias = SignatureResp | StatusResp | ReceiptResp | ProfileResp | RegistrationResp
Message: TypeAlias = Request | Answer


class MssFault(Exception):
    """What an MSSP answers instead of a message; also for a request that cannot be read."""

    def __init__(self, code: int, detail: str = "", specifier: int | None = None) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.detail = detail
        self.specifier = specifier
