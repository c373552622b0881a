"""A TimeStampToken (RFC 3161): what it says, and whether its own signature holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asn1crypto import cms, tsp

from remote_signing.rssp.validation.cms import alone, check, material_of
from remote_signing.rssp.validation.model import BROKEN, Material, Problem

if TYPE_CHECKING:
    from datetime import datetime

    from remote_signing.rssp.validation.model import Stamp, Untyped


@dataclass(frozen=True, slots=True)
class Token:
    """``value`` is its signature value; ``problem`` tells of its cryptography alone."""

    time: datetime
    value: bytes
    digest: str
    scheme: str
    certificate: bytes | None
    problem: Problem | None
    material: Material = field(default_factory=Material)


def read(stamp: Stamp) -> Token | None:
    """The token of ``stamp``, compared with what it should be over; None for what is no token."""
    try:
        signed = cms.ContentInfo.load(stamp.token)["content"]
        (info,) = signed["signer_infos"]
        stated = signed["encap_content_info"]["content"].parsed
        if not isinstance(stated, tsp.TSTInfo):
            return None
        checked = check(alone(signed, info), None)
        return Token(
            time=stated["gen_time"].native,
            value=checked.value,
            digest=checked.digest,
            scheme=checked.scheme,
            certificate=checked.certificate,
            problem=checked.problem or _imprint(stamp, stated),
            material=material_of(signed),
        )
    except BROKEN:
        return None


def _imprint(stamp: Stamp, stated: Untyped) -> Problem | None:
    if stamp.over is None:
        return Problem("GENERIC", "stamp_not_supported")
    imprint = stated["message_imprint"]
    expected = stamp.over.digest(imprint["hash_algorithm"]["algorithm"].native)
    if imprint["hashed_message"].native == expected:
        return None
    return Problem("HASH_FAILURE", "stamp_of_something_else")
