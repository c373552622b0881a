"""Rich Authorization Requests (RFC 9396) with the CSC API's type for a credential.

One object names one credential and the digests to be signed with it: ``credential`` in CSC API
2.0, ``https://cloudsignatureconsortium.org/2025/credential`` in 2.2, where it also tells the kind
of each digest. A text that does not fit its type in every member is refused, unknown members too
(RFC 9396 cl. 5); null counts as left out, as known clients send it. What was asked is given back
as it came, with the credential filled in (cl. 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remote_signing import algorithms, strict_json
from remote_signing.errors import AlgorithmUnsupported, DigestLengthInvalid, InvalidInput
from remote_signing.identifiers import is_id
from remote_signing.rssp.attached import Named
from remote_signing.rssp.attachments.binding import LONGEST_ATTRIBUTES
from remote_signing.rssp.oauth.base64_text import decode
from remote_signing.rssp.oauth.errors import OAuthRefused, invalid_details
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.strict_json import JsonValue

TYPES: Final = ("credential", "https://cloudsignatureconsortium.org/2025/credential")
LONGEST_LABEL: Final = 255

_MEMBERS = frozenset(
    {
        *("type", "credentialID", "signatureQualifier", "numSignatures"),
        *("documentDigests", "hashAlgorithmOID", "locations"),
    }
)
_DOCUMENT_MEMBERS = frozenset(
    {
        *("hash", "label", "hashType", "signed_props", "circumstantialData", "href", "access"),
        *("attachmentID", "signedAttributes"),  # ours, see docs/what-you-see.md
    }
)
_SHOWN = "documentDigests"


@dataclass(frozen=True, slots=True)
class CredentialRequest:
    """What a client asks a signer to consent to, whatever way it was written.

    ``credential_id`` None: any credential with the ``qualifier``. ``details`` are the
    authorization_details as received, None when there were none.
    """

    credential_id: str | None
    hash_algorithm: str | None
    hashes: tuple[bytes, ...]
    num_signatures: int
    labels: tuple[str | None, ...] = ()
    details: JsonValue = None
    qualifier: str | None = None
    named: tuple[Named, ...] = ()


def read(text: str) -> CredentialRequest:
    """The request in ``authorization_details``.

    Errors: :class:`OAuthRefused` ``invalid_authorization_details``.
    """
    details = _parse(text)
    if not isinstance(details, list) or len(details) != 1:
        # One consent, one credential: the signer reads one question and answers it.
        raise invalid_details("authorization_details")
    members = _object(details[0], "authorization_details", _MEMBERS)
    if members.get("type") not in TYPES:
        raise invalid_details("type")
    documents = members.get(_SHOWN, [])
    if not isinstance(documents, list):
        raise invalid_details(_SHOWN)
    objects = [_object(document, _SHOWN, _DOCUMENT_MEMBERS) for document in documents]
    hashes = tuple(_hash(document) for document in objects)
    return CredentialRequest(
        credential_id=_credential_id(members),
        hash_algorithm=_hash_algorithm(members, hashes),
        hashes=hashes,
        num_signatures=_num_signatures(members, len(hashes)),
        labels=tuple(_label(document) for document in objects),
        details=details,
        qualifier=_optional_text(members, "signatureQualifier"),
        named=tuple(_named(objects)),
    )


def filled_in(details: JsonValue, credential_id: str) -> JsonValue:
    """``details`` as received, with the credential they were granted for."""
    if not isinstance(details, list) or not isinstance(details[0], dict):
        return None
    return [{**details[0], "credentialID": credential_id}]


def narrows(text: str, granted: JsonValue) -> bool:
    """Whether a token request asks for what was granted. It may not ask for anything else."""
    return _parse(text) == granted


def _parse(text: str) -> JsonValue:
    try:
        return strict_json.loads(text.encode("utf-8"))
    except (InvalidInput, UnicodeEncodeError):
        raise invalid_details("authorization_details") from None


def _object(value: JsonValue, name: str, known: frozenset[str]) -> dict[str, JsonValue]:
    if not isinstance(value, dict) or not value.keys() <= known:
        raise invalid_details(name)
    return {key: member for key, member in value.items() if member is not None}


def _credential_id(members: dict[str, JsonValue]) -> str | None:
    """It may be missing only beside a ``signatureQualifier``."""
    if "credentialID" in members or "signatureQualifier" not in members:
        return _text(members, "credentialID")
    return None


def _optional_text(members: dict[str, JsonValue], name: str) -> str | None:
    return _text(members, name) if name in members else None


def _text(members: dict[str, JsonValue], name: str) -> str:
    value = members.get(name)
    if value is None:
        raise OAuthRefused("invalid_authorization_details", f"Missing parameter {name}")
    if not isinstance(value, str) or not value:
        raise invalid_details(name)
    return value


def _hash_algorithm(members: dict[str, JsonValue], hashes: tuple[bytes, ...]) -> str | None:
    if not hashes and "hashAlgorithmOID" not in members:
        return None
    try:
        digest = algorithms.digest_by_oid(_text(members, "hashAlgorithmOID"))
        algorithms.check_digests(digest, hashes)
    except AlgorithmUnsupported:
        raise invalid_details("hashAlgorithmOID") from None
    except DigestLengthInvalid:
        raise invalid_details("hash") from None
    return digest.name


def _num_signatures(members: dict[str, JsonValue], count: int) -> int:
    """As many as digests in 2.0; 2.2 says the number."""
    value = members.get("numSignatures", count)
    if type(value) is not int or value < 1 or (count and value != count):
        raise invalid_details("numSignatures")
    return value


def _hash(document: dict[str, JsonValue]) -> bytes:
    # Of sdr and sodr the document is hashed, not the bytes to be signed: signDoc's business.
    kind = document.get("hashType", "dtbsr")
    if not isinstance(kind, str) or kind.lower() != "dtbsr":
        raise invalid_details("hashType")
    digest = decode(_text(document, "hash"))
    if digest is None:
        raise invalid_details("hash")
    return digest


def _named(documents: list[dict[str, JsonValue]]) -> Iterator[Named]:
    """The attachments that the signer is to see, one beside a hash or none."""
    for position, document in enumerate(documents):
        name = document.get("attachmentID")
        if name is None:
            continue
        attributes = document.get("signedAttributes")
        der = decode(attributes) if isinstance(attributes, str) else None
        is_der = attributes is None or (der and len(der) <= LONGEST_ATTRIBUTES)
        if not isinstance(name, str) or not is_id(name) or not is_der:
            raise invalid_details("attachmentID")
        yield Named(position, name, der)


def _label(document: dict[str, JsonValue]) -> str | None:
    value = document.get("label")
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_LABEL or not is_showable(value):
        raise invalid_details("label")
    return value
