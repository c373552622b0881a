"""Messages into the tree of either wire, in the order of the schema's sequences."""

from __future__ import annotations

from functools import singledispatch

from sim_adapter.mss.model import (
    Head,
    Message,
    ProfileReq,
    ProfileResp,
    ReceiptReq,
    ReceiptResp,
    RegistrationReq,
    RegistrationResp,
    Signature,
    SignatureReq,
    SignatureResp,
    SimCertificate,
    SimProfile,
    Status,
    StatusReq,
    StatusResp,
)
from sim_adapter.mss.tree import Sink
from sim_adapter.mss.values import write_base64, write_moment


def kind_of(message: Message) -> str:
    """``MSS_SignatureReq`` for a :class:`SignatureReq`, and so on."""
    return f"MSS_{type(message).__name__}"


@singledispatch
def write(message: Message, sink: Sink) -> None:
    """Write ``message`` into the empty ``sink``."""
    raise TypeError(f"{type(message).__name__} is no message of {sink!r}")


@write.register
def _(message: SignatureReq, sink: Sink) -> None:
    sink.attribute("MessagingMode", message.mode)
    sink.attribute("TimeOut", None if message.timeout is None else str(message.timeout))
    moment = message.validity
    sink.attribute("ValidityDate", None if moment is None else write_moment(moment))
    _head(message.head, sink)
    _user(message.msisdn, sink)
    sink.data("DataToBeSigned", message.dtbs)
    sink.data("DataToBeDisplayed", message.dtbd)
    sink.uris("SignatureProfile", [message.profile] if message.profile else [])
    for service in message.services:
        inside = sink.service()
        inside.uris("Description", [service.uri])
        inside.wrapped("fi:EventID", service.event_id)
        inside.wrapped("fi:UserLang", service.user_lang)
    sink.uris("MSS_Format", [message.format] if message.format else [])


@write.register
def _(message: SignatureResp, sink: Sink) -> None:
    sink.attribute("MSSP_TransID", message.trans_id)
    _head(message.head, sink)
    _user(message.msisdn, sink)
    _signature(message.signature, sink)
    sink.uris("SignatureProfile", [message.profile] if message.profile else [])
    _status(message.status, sink)


@write.register
def _(message: StatusReq, sink: Sink) -> None:
    sink.attribute("MSSP_TransID", message.trans_id)
    _head(message.head, sink)


@write.register
def _(message: StatusResp, sink: Sink) -> None:
    sink.attribute("MSSP_TransID", message.trans_id)
    _head(message.head, sink)
    _user(message.msisdn, sink)
    _signature(message.signature, sink)
    _status(message.status, sink)


@write.register
def _(message: ReceiptReq, sink: Sink) -> None:
    sink.attribute("MSSP_TransID", message.trans_id)
    _head(message.head, sink)
    _user(message.msisdn, sink)
    if message.status is not None:
        _status(message.status, sink)
    sink.data("Message", message.message)


@write.register
def _(message: ReceiptResp, sink: Sink) -> None:
    _head(message.head, sink)
    _status(message.status, sink)


@write.register
def _(message: ProfileReq, sink: Sink) -> None:
    _head(message.head, sink)
    _user(message.msisdn, sink)
    sink.text("Params", message.params)


@write.register
def _(message: ProfileResp, sink: Sink) -> None:
    _head(message.head, sink)
    sink.uris("SignatureProfile", message.profiles)
    _status(message.status, sink)


@write.register
def _(message: RegistrationReq, sink: Sink) -> None:
    _head(message.head, sink)
    _user(message.msisdn, sink)
    if message.certificate is not None:
        sink.text("X509Certificate", write_base64(message.certificate))
    if message.order is not None:
        order = sink.child("sim:KeyGeneration")
        order.attribute("TimeOut", str(message.order.timeout))
        order.attribute("Code", message.order.code)
        order.attribute("Algorithm", message.order.algorithm)
        order.attribute("Mode", message.order.mode)
        order.flag("replace", message.order.replace)
        order.text("sim:CredentialID", message.order.credential_id)
        order.text("sim:Challenge", write_base64(message.order.challenge))
        order.text("sim:RelyingParty", message.order.relying_party)


@write.register
def _(message: RegistrationResp, sink: Sink) -> None:
    _head(message.head, sink)
    _status(message.status, sink)
    if message.public_key is not None:
        sink.text("PublicKey", write_base64(message.public_key))


def _head(head: Head, sink: Sink) -> None:
    sink.attribute("MajorVersion", str(head.major))
    sink.attribute("MinorVersion", str(head.minor))
    ap = sink.child("AP_Info")
    ap.attribute("AP_ID", head.ap.ap_id)
    ap.attribute("AP_TransID", head.ap.trans_id)
    ap.attribute("AP_PWD", head.ap.password)
    ap.attribute("Instant", write_moment(head.ap.instant))
    ap.attribute("AP_URL", head.ap.url)
    mssp = sink.child("MSSP_Info")
    instant = head.mssp.instant
    mssp.attribute("Instant", None if instant is None else write_moment(instant))
    mssp.child("MSSP_ID").text("URI", head.mssp.uri)


def _user(number: str, sink: Sink) -> None:
    sink.child("MobileUser").text("MSISDN", number)


def _signature(signature: Signature | None, sink: Sink) -> None:
    if signature is None:
        return
    holder = sink.child("MSS_Signature")
    if signature.certificate is None:
        holder.text("Base64Signature", write_base64(signature.value))
        return
    bare = holder.child("fi:PKCS1")
    bare.text("fi:SignatureValue", write_base64(signature.value))
    bare.text("fi:X509Certificate", write_base64(signature.certificate))


def _status(status: Status, sink: Sink) -> None:
    holder = sink.child("Status")
    code = holder.child("StatusCode")
    code.attribute("Value", str(status.code))
    if status.specifier is not None:
        code.child("StatusCode").attribute("Value", str(status.specifier))
    holder.text("StatusMessage", status.message)
    if status.profile is None and status.possession is None:
        return
    detail = holder.child("StatusDetail")
    if status.possession is not None:
        possession = detail.child("sim:Possession")
        possession.text("sim:Proof", write_base64(status.possession.proof))
        possession.text("sim:Iccid", status.possession.iccid)
    if status.profile is not None:
        _profile(status.profile, detail.child("mcs:ProfileQueryExtension"))


def _profile(profile: SimProfile, extension: Sink) -> None:
    sim = extension.child("mcs:Sscds").child("mcs:Sim")
    sim.text("mcs:State", profile.state)
    if profile.pin_blocked is not None:
        sim.child("mcs:PinStatus").flag("blocked", profile.pin_blocked)
    for certificate in profile.certificates:
        _certificate(certificate, sim.item("mcs:MobileUserCertificate"))
    if profile.iccid or profile.mcc or profile.mnc or profile.network:
        card = extension.child("sim:CardDetails")
        card.text("sim:Iccid", profile.iccid)
        card.text("sim:Mcc", profile.mcc)
        card.text("sim:Mnc", profile.mnc)
        card.text("sim:Network", profile.network)


def _certificate(certificate: SimCertificate, sink: Sink) -> None:
    sink.attribute("Algorithm", certificate.algorithm)
    sink.attribute("State", certificate.state)
    sink.texts("ds:X509Certificate", [write_base64(der) for der in certificate.chain])
