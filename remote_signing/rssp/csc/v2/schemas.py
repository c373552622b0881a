"""What each method of CSC API v2 takes, read into values of our own.

Names on the wire are the standard's, names here are ours. Each reader checks in the order of the
method's error table and raises :class:`~remote_signing.rssp.csc.errors.CscError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from remote_signing.algorithms import (
    ALGORITHMS,
    check_digests,
    digest_by_oid,
    digest_named,
    resolve_scheme,
)
from remote_signing.errors import RemoteSigningError
from remote_signing.identifiers import Ticket, is_id
from remote_signing.rssp import callback
from remote_signing.rssp.csc.errors import (
    CscError,
    invalid,
    invalid_authentication_data,
    missing,
    translate,
)
from remote_signing.rssp.csc.v2 import attachment_order, request_details

if TYPE_CHECKING:
    from remote_signing.algorithms import Algorithm, Digest, SignatureScheme
    from remote_signing.rssp.attached import Named
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.rssp.request_details import RequestDetails
    from remote_signing.strict_json import JsonValue

CERTIFICATES = ("single", "none", "chain")  # the default first
LONGEST_DESCRIPTION = 500
_LONGEST_LANG = 35  # RFC 5646 cl. 4.4.1
_SHA2 = {32: "sha256", 48: "sha384", 64: "sha512"}
_MOST_AUTH_DATA = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """How much of a credential is asked for."""

    certificates: str = "single"
    cert_info: bool = False
    auth_info: bool = False
    lang: str | None = None


@dataclass(frozen=True, slots=True)
class ListRequest:
    """``credentials/list``; ``shown`` is None when only the ids are wanted."""

    user_id: str | None
    only_valid: bool
    shown: Shown | None


@dataclass(frozen=True, slots=True)
class InfoRequest:
    """``credentials/info``."""

    credential_id: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class AuthDatum:
    """A member of ``authData``; ``value`` is None for a factor that answers on another channel."""

    id: str
    value: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """``credentials/authorize``. ``digest`` is None when no hashes were named."""

    credential_id: str
    num_signatures: int
    hashes: tuple[bytes, ...]
    digest: Digest | None
    auth_data: tuple[AuthDatum, ...]
    description: str | None
    client_data: str | None
    lang: str | None
    details: RequestDetails | None = None
    named: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class SignHashRequest:
    """``signatures/signHash``. ``sad`` is None when the bearer token authorises by itself."""

    sad: str | None = field(repr=False)
    credential_id: str
    hashes: tuple[bytes, ...]
    sign_algo: str
    hash_algorithm_oid: str | None
    sign_algo_params: bytes | None
    later: Later | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Asynchronous mode: how long the outcome is kept, None for as long as usual, and who is told.

    ``response_uri`` is https, or http where the configuration allows its network.
    """

    validity_ms: int | None
    response_uri: str | None


@dataclass(frozen=True, slots=True)
class ExtendRequest:
    """``credentials/extendTransaction``. ``digest`` is None when no hashes were named."""

    sad: str | None = field(repr=False)
    credential_id: str
    hashes: tuple[bytes, ...]
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class ChallengeWanted:
    """``credentials/getChallenge``."""

    credential_id: str
    auth_object_id: str


def read_list(parameters: Parameters) -> ListRequest:
    """CSC API v2.2 cl. 11.6."""
    user_id = parameters.value("userID")
    if user_id is not None and not isinstance(user_id, str):
        raise invalid("userID")
    with_info = parameters.flag("credentialInfo")
    shown = _shown(parameters)
    only_valid = parameters.flag("onlyValid")
    parameters.client_data()
    return ListRequest(user_id, only_valid, shown if with_info else None)


def read_info(parameters: Parameters) -> InfoRequest:
    """CSC API v2.2 cl. 11.7."""
    credential_id = read_credential_id(parameters)
    shown = _shown(parameters)
    parameters.client_data()
    return InfoRequest(credential_id, shown)


def read_authorize(parameters: Parameters) -> AuthorizeRequest:
    """CSC API v2.2 cl. 11.8."""
    credential_id = read_credential_id(parameters)
    num_signatures = read_count(parameters)
    hashes = parameters.digests()
    # v1's member, v1's rule: no algorithm is named, the length tells it.
    as_v1 = parameters.borrowed("hash") is not None
    by_name = not as_v1 or parameters.value("hashAlgorithmOID") is not None
    return AuthorizeRequest(
        credential_id=credential_id,
        num_signatures=num_signatures,
        hashes=hashes,
        digest=named_digest(parameters, hashes) if by_name else digest_by_length(hashes),
        auth_data=_auth_data(parameters),
        description=read_description(parameters),
        client_data=parameters.client_data(),
        lang=_lang(parameters),
        details=request_details.read(parameters),
        named=attachment_order.read(parameters),
    )


def read_authorize_check(parameters: Parameters) -> Ticket:
    """CSC API v2.2 cl. 11.9: the handle. The table has one text for every way it can be wrong."""
    value = parameters.value("handle")
    handle = Ticket.parse(value) if isinstance(value, str) else None
    if handle is None:
        raise invalid("handle")
    parameters.client_data()
    return handle


def read_get_challenge(parameters: Parameters) -> ChallengeWanted:
    """CSC API v2.2 cl. 11.10. The table has one text for every way a parameter can be wrong."""
    names = ("credentialID", "authObjectID")
    for name in names:
        if not isinstance(parameters.value(name), str):
            raise invalid(name)
    credential_id = read_credential_id(parameters)
    parameters.client_data()
    return ChallengeWanted(credential_id, parameters.text("authObjectID"))


def read_extend(parameters: Parameters) -> ExtendRequest:
    """CSC API v2.2 cl. 11.11. Without an algorithm the digests' length tells it."""
    credential_id = read_credential_id(parameters)
    hashes = parameters.digests()
    by_name = parameters.optional_text("hashAlgorithmOID") is not None
    digest = named_digest(parameters, hashes) if by_name else digest_by_length(hashes)
    sad = parameters.optional_text("SAD")
    parameters.client_data()
    return ExtendRequest(sad, credential_id, hashes, digest)


def read_sign_hash(parameters: Parameters) -> SignHashRequest:
    """CSC API v2.2 cl. 11.13: :func:`read_sign_hash_now` in either mode."""
    request = read_sign_hash_now(parameters)
    return replace(request, later=read_later(parameters))


def read_sign_hash_now(parameters: Parameters) -> SignHashRequest:
    """``signHash`` without its modes. Digests have the length of their algorithm.

    The key is not known here, so the scheme is resolved for the largest key of the kind that
    ``signAlgo`` names; the SAM resolves it again for the key itself.
    """
    request = SignHashRequest(
        sad=parameters.optional_text("SAD"),
        credential_id=read_credential_id(parameters),
        hashes=parameters.digests(required_as="hash"),
        sign_algo=parameters.text("signAlgo"),
        sign_algo_params=parameters.binary("signAlgoParams"),
        hash_algorithm_oid=parameters.optional_text("hashAlgorithmOID"),
    )
    scheme = _scheme(request)
    parameters.client_data()
    _check_lengths(scheme.digest, request.hashes)
    return request


def read_later(parameters: Parameters) -> Later | None:
    """``operationMode`` with its companions, which count in mode "A" only; None for mode "S"."""
    mode = parameters.value("operationMode")
    if mode is None or mode == "S":
        return None
    if mode != "A":
        raise invalid("operationMode")
    return Later(
        _validity_ms(parameters.value("validity_period")),
        _response_uri(parameters.value("response_uri")),
    )


def read_count(parameters: Parameters) -> int:
    """``numSignatures``."""
    count = parameters.integer("numSignatures")
    if count < 1:
        raise CscError("Invalid value for parameter numSignatures")
    return count


def read_description(parameters: Parameters) -> str | None:
    """``description`` of ``credentials/authorize``."""
    return parameters.optional_text("description", LONGEST_DESCRIPTION)


def digest_by_length(hashes: tuple[bytes, ...]) -> Digest | None:
    """The SHA-2 algorithm whose digests are so long, as v1 names none. None without hashes."""
    if not hashes:
        return None
    name = _SHA2.get(len(hashes[0]))
    if name is None or any(len(value) != len(hashes[0]) for value in hashes):
        raise CscError("Invalid digest value length")
    return digest_named(name)


def read_credential_id(parameters: Parameters) -> str:
    """``credentialID``."""
    credential_id = parameters.text("credentialID")
    if not is_id(credential_id):
        raise invalid("credentialID")
    return credential_id


def _shown(parameters: Parameters) -> Shown:
    return Shown(
        certificates=parameters.choice("certificates", CERTIFICATES),
        cert_info=parameters.flag("certInfo"),
        auth_info=parameters.flag("authInfo"),
        lang=_lang(parameters),
    )


def _lang(parameters: Parameters) -> str | None:
    """``lang``; an unknown or overlong one falls back to the service's own (cl. 10.3)."""
    lang = parameters.optional_text("lang")
    return lang if lang is not None and len(lang) <= _LONGEST_LANG else None


def named_digest(parameters: Parameters, hashes: tuple[bytes, ...]) -> Digest | None:
    """``hashAlgorithmOID``, which ``hashes`` must fit; None without hashes."""
    oid = parameters.optional_text("hashAlgorithmOID")
    if not hashes:
        return None
    if oid is None:
        raise missing("string", "hashAlgorithmOID")
    try:
        digest = digest_by_oid(oid)
    except RemoteSigningError as error:
        raise translate("credentials/authorize", error) from error
    _check_lengths(digest, hashes)
    return digest


def _auth_data(parameters: Parameters) -> tuple[AuthDatum, ...]:
    codes = [(name, parameters.borrowed(name)) for name in ("PIN", "OTP")]
    given = [{"id": name, "value": value} for name, value in codes if value is not None]
    if given and parameters.value("authData") is None:
        return tuple(_auth_datum(dict(item)) for item in given)
    values = parameters.array("authData") or []
    if len(values) > _MOST_AUTH_DATA:
        raise invalid_authentication_data()
    return tuple(_auth_datum(value) for value in values)


def _auth_datum(member: JsonValue) -> AuthDatum:
    name = member.get("id") if isinstance(member, dict) else None
    value = member.get("value") if isinstance(member, dict) else None
    if not isinstance(name, str) or not (value is None or isinstance(value, str)):
        raise invalid_authentication_data()
    return AuthDatum(name, value)


_LARGEST: dict[str, Algorithm] = {
    algorithm.kind: algorithm
    for algorithm in sorted(ALGORITHMS.values(), key=lambda algorithm: algorithm.bits)
}
_BY_SIGN_ALGO = {oid: algorithm for algorithm in _LARGEST.values() for oid in algorithm.sign_oids}


def _scheme(request: SignHashRequest) -> SignatureScheme:
    algorithm = _BY_SIGN_ALGO.get(request.sign_algo)
    if algorithm is None:
        raise invalid("signAlgo")
    try:
        return resolve_scheme(
            algorithm, request.sign_algo, request.hash_algorithm_oid, request.sign_algo_params
        )
    except RemoteSigningError as error:
        raise translate("signatures/signHash", error) from error


def _check_lengths(digest: Digest, hashes: tuple[bytes, ...]) -> None:
    try:
        check_digests(digest, hashes)
    except RemoteSigningError as error:
        raise translate("signatures/signHash", error) from error


def _validity_ms(value: JsonValue) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise invalid("validity_period")
    return value


def _response_uri(value: JsonValue) -> str | None:
    """The form alone; where it leads is looked at by :mod:`remote_signing.rssp.callback`."""
    if value is None:
        return None
    if not isinstance(value, str) or not callback.is_uri(value):
        raise invalid("response_uri")
    return value
