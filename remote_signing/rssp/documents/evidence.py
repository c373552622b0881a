"""What a validator will want to know later: the path, and that nothing on it was revoked.

All of it comes from our own authority, in this process. A time stamp of an outside authority
proves the time as well, but the status of its certificates is not ours to tell; so B-LT and B-LTA
use our own, or are refused: the level that was asked for is never lowered.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from remote_signing.algorithms import digest_named
from remote_signing.rssp.documents.model import Material
from remote_signing.sap import TimestampRequest

if TYPE_CHECKING:
    from remote_signing.rssp.certificate_status import Status
    from remote_signing.rssp.documents.model import Recipe
    from remote_signing.rssp.timestamps import Timestamper


def material(status: Status, certificate: bytes) -> Material:
    """Path, OCSP answers and CRLs for a signer's certificate (DER) and for our time stamps.

    Raises ``Unavailable`` when one of them cannot be had now.
    """
    own = status.own_certificates()
    return Material(
        certificates=(
            *(certificate, status.issuing_certificate(), status.root_certificate()),
            *(own.timestamps, own.responder),
        ),
        ocsp=(status.ocsp(certificate), status.ocsp(own.timestamps)),
        crls=(status.root_crl(), status.crl()),
    )


def stamp(timestamper: Timestamper, recipe: Recipe, covered: bytes) -> bytes:
    """The TimeStampToken over ``covered``, a signature. Raises ``Unavailable``."""
    digest = hashlib.new(recipe.digest, covered).digest()
    return stamp_digest(timestamper, recipe, digest, recipe.digest)


def stamp_digest(timestamper: Timestamper, recipe: Recipe, digest: bytes, algorithm: str) -> bytes:
    """The TimeStampToken over a digest."""
    if recipe.reaches("B-LT"):
        return timestamper.own(TimestampRequest(digest_named(algorithm).oid, digest))
    return timestamper.stamp(digest, algorithm)
