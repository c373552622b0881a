"""Signed documents (CSC API v2.2 cl. 11.14), with files that need not fit into memory.

At SCAL2 the digests are known before the consent: ``prepare_doc`` tells them for a claimed time,
the signer consents to them, and ``sign_doc`` sends the same order with that time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from remote_signing.client.document_wire import Answer, order_body

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from remote_signing.client.answers import Members
    from remote_signing.client.caller import Caller, Token
    from remote_signing.client.credentials import Sad
    from remote_signing.client.exchange import Flow


@dataclass(frozen=True, slots=True)
class Document:
    """A file to be signed. ``more`` are further members of its entry, in CSC's spelling.

    ``format`` is C, X, P or J; ``more`` may hold ``signed_envelope_property``, ``signed_props``,
    ``hashAlgorithmOID``, ``signAlgoParams``, and our own ``appearance`` (docs/sign-doc.md).
    """

    path: Path
    sign_algorithm: str
    format: str = "P"
    level: str = "Ades-B-B"
    more: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DocumentOrder:
    """Documents to be signed with one credential and one ``sign_algorithm``.

    ``claimed_time``: what the signatures say, UTC as ``2026-11-26T01:02:03Z``.
    """

    credential_id: str
    documents: tuple[Document, ...]
    wants_validation_info: bool = False
    claimed_time: str | None = None


@dataclass(frozen=True, slots=True)
class PreparedOrder:
    """What the signer is asked to consent to; ``order`` has the claimed time they hold for."""

    order: DocumentOrder
    digests: tuple[bytes, ...]
    hash_algorithm: str


@dataclass(frozen=True, slots=True)
class SignedDocuments:
    """Files in the folder that was named: signed documents, and detached signatures, in order."""

    documents: tuple[Path, ...]
    signatures: tuple[Path, ...]
    validation_info: Mapping[str, object] | None


def prepare_doc(caller: Caller, token: Token, order: DocumentOrder) -> Flow[PreparedOrder]:
    """The digests (DTBS/R) of each document. Nothing is kept by the service."""
    body = order_body(_members(order), _entries(order))
    answer: Members = yield from caller.csc_body(
        "signatures/prepareDoc", body, token, repeatable=True
    )
    return PreparedOrder(
        order=replace(order, claimed_time=answer.text("claimedTime")),
        digests=answer.octets("hashes"),
        hash_algorithm=answer.text("hashAlgorithmOID"),
    )


def sign_doc(
    caller: Caller, token: Token, order: DocumentOrder, folder: Path, sad: Sad | None = None
) -> Flow[SignedDocuments]:
    """The signed documents, written into ``folder`` as ``document-1`` and so on.

    Detached signatures are ``signature-1`` and so on. With a claimed time the call gives the same
    signatures again, so it is repeated when its answer is lost. Without one the service takes the
    time of each call: another try would sign something else, so there is none.
    """
    members = _members(order)
    if sad is not None:
        members["SAD"] = sad.value
    name, body = "signatures/signDoc", order_body(members, _entries(order))
    once = order.claimed_time is None
    taken = Answer(folder)
    try:
        yield from caller.csc_body(name, body, token, repeatable=not once, sink=taken)
        documents, signatures, info = taken.close()
    except BaseException:
        taken.begin()  # no half a document is left
        raise
    return SignedDocuments(documents, signatures, info)


def _members(order: DocumentOrder) -> dict[str, object]:
    members: dict[str, object] = {
        "credentialID": order.credential_id,
        "returnValidationInfo": order.wants_validation_info,
    }
    if order.claimed_time is not None:
        members["claimedTime"] = order.claimed_time
    return members


def _entries(order: DocumentOrder) -> list[tuple[Mapping[str, object], Path]]:
    return [
        (
            {
                "signature_format": each.format,
                "conformance_level": each.level,
                "signAlgo": each.sign_algorithm,
                **each.more,
            },
            each.path,
        )
        for each in order.documents
    ]
