"""Trust anchors and CRLs that the installation keeps in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asn1crypto import pem

from remote_signing.rssp.validation.model import Material
from remote_signing.rssp.validation.trust import Knowledge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CERTIFICATES = {".pem", ".crt", ".cer", ".der"}


def read(folder: Path | None, known: Knowledge) -> Knowledge:
    """``known`` with what lies in ``folder``: anchors (.pem, .crt, .cer, .der) and CRLs (.crl).

    Read at each validation, so that a CRL which was replaced counts at once.
    """
    if folder is None:
        return known
    anchors: list[bytes] = []
    crls: list[bytes] = []
    for path in sorted(folder.iterdir()):
        if path.suffix in _CERTIFICATES:
            anchors.extend(_ders(path.read_bytes()))
        elif path.suffix == ".crl":
            crls.extend(_ders(path.read_bytes()))
    further = Material(certificates=tuple(anchors), crls=tuple(crls))
    return Knowledge((*known.anchors, *anchors), known.material + further)


def _ders(data: bytes) -> Iterator[bytes]:
    if not pem.detect(data):
        yield data
        return
    for _, _, der in pem.unarmor(data, multiple=True):
        yield der
