"""Messages from the tree of either wire. Every error is ``InvalidInput``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim_adapter import msisdn
from sim_adapter.errors import InvalidInput
from sim_adapter.mss.model import (
    Answer,
    ApInfo,
    Head,
    KeyMode,
    KeyOrder,
    Message,
    MessagingMode,
    MsspInfo,
    Possession,
    ProfileReq,
    ProfileResp,
    ReceiptReq,
    ReceiptResp,
    RegistrationReq,
    RegistrationResp,
    Request,
    Service,
    Signature,
    SignatureReq,
    SignatureResp,
    SimCertificate,
    SimProfile,
    Status,
    StatusReq,
    StatusResp,
)
from sim_adapter.mss.values import integer, ncname, needed, read_base64, read_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sim_adapter.mss.tree import Source

_MODES: Mapping[str, MessagingMode] = {
    "synch": "synch",
    "asynchClientServer": "asynchClientServer",
    "asynch": "asynchClientServer",  # Swisscom's word for it in JSON
    "asynchServerServer": "asynchServerServer",
}
_KEY_MODES: Mapping[str, KeyMode] = {"structure": "structure", "digest": "digest", "text": "text"}


def message(kind: str, source: Source) -> Message:
    """The message ``kind`` (``MSS_SignatureReq`` …) in ``source``."""
    reader = _READERS.get(kind)
    if reader is None:
        raise InvalidInput(f"no message {kind[:60]!r}")
    found = reader(source)
    source.skip("ServiceResponses")  # JSON has them beside the status; nothing here needs them
    source.done()
    return found


def is_request(found: Message) -> bool:
    """Whether ``found`` is asked of an MSSP."""
    return isinstance(found, Request)


def is_answer(found: Message) -> bool:
    """Whether ``found`` is an MSSP's answer."""
    return isinstance(found, Answer)


def _head(source: Source) -> Head:
    info = source.child("AP_Info")
    mssp = source.child("MSSP_Info")
    if info is None:
        raise InvalidInput("AP_Info is missing")
    ap = ApInfo(
        ap_id=needed(info.attribute("AP_ID"), "AP_ID"),
        trans_id=ncname(info.attribute("AP_TransID"), "AP_TransID"),
        password=info.attribute("AP_PWD") or "",
        instant=read_moment(needed(info.attribute("Instant"), "Instant"), "Instant"),
        url=info.attribute("AP_URL"),
    )
    info.done()
    return Head(
        ap,
        _mssp(mssp) if mssp is not None else MsspInfo(),
        integer(source.attribute("MajorVersion"), "MajorVersion"),
        integer(source.attribute("MinorVersion"), "MinorVersion"),
    )


def _mssp(source: Source) -> MsspInfo:
    instant = source.attribute("Instant")
    member = source.child("MSSP_ID")
    uri = None
    if member is not None:
        uri = member.text("URI")
        for other in ("DNSName", "IPAddress", "IdentifierString"):
            member.skip(other)
        member.done()
    source.done()
    return MsspInfo(uri, read_moment(instant, "Instant") if instant else None)


def _user(source: Source) -> str:
    user = source.child("MobileUser")
    if user is None:
        raise InvalidInput("MobileUser is missing")
    number = msisdn.normalise(needed(user.text("MSISDN"), "MSISDN"))
    for other in ("IdentityIssuer", "UserIdentifier", "HomeMSSP"):
        user.skip(other)
    user.done()
    return number


def _trans_id(source: Source) -> str:
    # One client (Valimo's) sends it as an element in a status request, where the schema says
    # attribute; both at once would be two ids.
    attribute, element = source.attribute("MSSP_TransID"), source.text("MSSP_TransID")
    if attribute is not None and element is not None:
        raise InvalidInput("MSSP_TransID twice")
    return ncname(attribute if element is None else element, "MSSP_TransID")


def _uri(source: Source, name: str) -> str | None:
    found = source.uris(name)
    if len(found) > 1:
        raise InvalidInput(f"{name} twice")
    return found[0] if found else None


def _signature_req(source: Source) -> SignatureReq:
    mode = source.attribute("MessagingMode") or ""
    if mode not in _MODES:
        raise InvalidInput("MessagingMode is none of the three")
    timeout, validity = source.attribute("TimeOut"), source.attribute("ValidityDate")
    dtbs = source.data("DataToBeSigned")
    if dtbs is None:
        raise InvalidInput("DataToBeSigned is missing")
    found = SignatureReq(
        head=_head(source),
        msisdn=_user(source),
        mode=_MODES[mode],
        dtbs=dtbs,
        dtbd=source.data("DataToBeDisplayed"),
        profile=_uri(source, "SignatureProfile"),
        services=tuple(_service(item) for item in source.services()),
        format=_uri(source, "MSS_Format"),
        timeout=None if timeout is None else integer(timeout, "TimeOut"),
        validity=None if validity is None else read_moment(validity, "ValidityDate"),
    )
    source.skip("KeyReference")
    source.skip("SignatureProfileComparison")
    return found


def _service(source: Source) -> Service:
    uri = _uri(source, "Description")
    found = Service(
        needed(uri, "Description"), source.wrapped("fi:EventID"), source.wrapped("fi:UserLang")
    )
    for other in ("Entity", "fi:NoSpamCode", "fi:SessionID"):
        source.skip(other)
    source.done()
    return found


def _signature_resp(source: Source) -> SignatureResp:
    return SignatureResp(
        head=_head(source),
        trans_id=_trans_id(source),
        msisdn=_user(source),
        status=_needed_status(source),
        signature=_signature(source),
        profile=_uri(source, "SignatureProfile"),
    )


def _signature(source: Source) -> Signature | None:
    holder = source.child("MSS_Signature")
    if holder is None:
        return None
    value, pkcs1 = holder.text("Base64Signature"), holder.child("fi:PKCS1")
    holder.done()
    if (value is None) == (pkcs1 is None):
        raise InvalidInput("MSS_Signature holds neither Base64Signature nor PKCS1, or both")
    if pkcs1 is None:
        return Signature(read_base64(needed(value, "Base64Signature"), "Base64Signature"))
    bare = needed(pkcs1.text("fi:SignatureValue"), "SignatureValue")
    certificate = needed(pkcs1.text("fi:X509Certificate"), "X509Certificate")
    pkcs1.done()
    return Signature(
        read_base64(bare, "SignatureValue"), read_base64(certificate, "X509Certificate")
    )


def _needed_status(source: Source) -> Status:
    found = _status(source)
    if found is None:
        raise InvalidInput("Status is missing")
    return found


def _status(source: Source) -> Status | None:
    holder = source.child("Status")
    if holder is None:
        return None
    code = holder.child("StatusCode")
    if code is None:
        raise InvalidInput("StatusCode is missing")
    number = integer(code.attribute("Value"), "StatusCode")
    nested = code.child("StatusCode")
    specifier = None if nested is None else integer(nested.attribute("Value"), "StatusCode")
    code.done()
    text = holder.text("StatusMessage")
    detail = holder.child("StatusDetail")  # what else is in it is an extension's own affair
    holder.done()
    if detail is None:
        return Status(number, text, specifier)
    profile = _profile(detail.child("mcs:ProfileQueryExtension"))
    return Status(number, text, specifier, profile, _possession(detail.child("sim:Possession")))


def _possession(source: Source | None) -> Possession | None:
    if source is None:
        return None
    proof = read_base64(needed(source.text("sim:Proof"), "Proof"), "Proof")
    return Possession(proof, source.text("sim:Iccid"))


def _profile(extension: Source | None) -> SimProfile | None:
    if extension is None:
        return None
    devices = extension.child("mcs:Sscds")
    sim = None if devices is None else devices.child("mcs:Sim")
    card = extension.child("sim:CardDetails")
    return SimProfile(
        state=None if sim is None else sim.text("mcs:State"),
        pin_blocked=_pin_blocked(sim),
        certificates=() if sim is None else _certificates(sim),
        iccid=None if card is None else card.text("sim:Iccid"),
        mcc=None if card is None else card.text("sim:Mcc"),
        mnc=None if card is None else card.text("sim:Mnc"),
        network=None if card is None else card.text("sim:Network"),
    )


def _pin_blocked(sim: Source | None) -> bool | None:
    pin = None if sim is None else sim.child("mcs:PinStatus")
    return None if pin is None else pin.flag("blocked")


def _certificates(sim: Source) -> tuple[SimCertificate, ...]:
    return tuple(
        SimCertificate(
            state=item.attribute("State"),
            algorithm=item.attribute("Algorithm"),
            chain=tuple(
                read_base64(text, "X509Certificate") for text in item.texts("ds:X509Certificate")
            ),
        )
        for item in sim.children("mcs:MobileUserCertificate")
    )


def _status_req(source: Source) -> StatusReq:
    source.skip("MobileUser")
    return StatusReq(_head(source), _trans_id(source))


def _status_resp(source: Source) -> StatusResp:
    trans_id = source.attribute("MSSP_TransID")
    return StatusResp(
        head=_head(source),
        msisdn=_user(source),
        status=_needed_status(source),
        signature=_signature(source),
        trans_id=None if trans_id is None else ncname(trans_id, "MSSP_TransID"),
    )


def _receipt_req(source: Source) -> ReceiptReq:
    return ReceiptReq(
        head=_head(source),
        trans_id=_trans_id(source),
        msisdn=_user(source),
        status=_status(source),
        message=source.data("Message"),
    )


def _receipt_resp(source: Source) -> ReceiptResp:
    return ReceiptResp(_head(source), _needed_status(source))


def _profile_req(source: Source) -> ProfileReq:
    found = ProfileReq(_head(source), _user(source), source.text("Params"))
    for wish in ("GetAutoActivation", "GetServerSideSignature", "GetRecoveryCodeCreated"):
        source.skip(wish)
    source.skip("GetCertificates")
    return found


def _profile_resp(source: Source) -> ProfileResp:
    profiles = tuple(source.uris("SignatureProfile"))
    return ProfileResp(_head(source), profiles, _needed_status(source))


def _registration_req(source: Source) -> RegistrationReq:
    head, number = _head(source), _user(source)
    certificate = source.text("X509Certificate")
    order = source.child("sim:KeyGeneration")
    if order is None:
        der = read_base64(needed(certificate, "X509Certificate"), "X509Certificate")
        return RegistrationReq(head, number, certificate=der)
    return RegistrationReq(head, number, _key_order(order))


def _key_order(source: Source) -> KeyOrder:
    algorithm = source.attribute("Algorithm")
    if algorithm not in {None, "P256", "RSA2048"}:
        raise InvalidInput("Algorithm is neither P256 nor RSA2048")
    mode = _KEY_MODES.get(source.attribute("Mode") or "structure")
    if mode is None:
        raise InvalidInput("Mode is none of structure, digest and text")
    challenge = needed(source.text("sim:Challenge"), "Challenge")
    found = KeyOrder(
        credential_id=needed(source.text("sim:CredentialID"), "CredentialID"),
        challenge=read_base64(challenge, "Challenge"),
        relying_party=needed(source.text("sim:RelyingParty"), "RelyingParty"),
        code=needed(source.attribute("Code"), "Code"),
        timeout=integer(source.attribute("TimeOut"), "TimeOut"),
        algorithm="RSA2048" if algorithm == "RSA2048" else "P256",
        replace=source.flag("replace") or False,
        mode=mode,
    )
    source.done()
    return found


def _registration_resp(source: Source) -> RegistrationResp:
    key = source.text("PublicKey")
    found = None if key is None else read_base64(key, "PublicKey")
    return RegistrationResp(_head(source), _needed_status(source), found)


_READERS: Mapping[str, Callable[[Source], Message]] = {
    "MSS_SignatureReq": _signature_req,
    "MSS_SignatureResp": _signature_resp,
    "MSS_StatusReq": _status_req,
    "MSS_StatusResp": _status_resp,
    "MSS_ReceiptReq": _receipt_req,
    "MSS_ReceiptResp": _receipt_resp,
    "MSS_ProfileReq": _profile_req,
    "MSS_ProfileResp": _profile_resp,
    "MSS_RegistrationReq": _registration_req,
    "MSS_RegistrationResp": _registration_resp,
}
