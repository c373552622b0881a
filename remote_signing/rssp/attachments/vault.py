"""Files at rest: each under a key of its own, which only its row holds.

So a copy of the folder tells nothing, removing the row removes the content, and a changed byte is
noticed before anybody is shown it. AES-256-GCM in pieces; the nonce is the piece's number and
whether it is the last one, so pieces cannot change places, be left out, or be cut off.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from remote_signing.errors import AttachmentUnknown

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 64 * 1024
_TAG = 16


def keep(source: Path, folder: Path, name: str) -> bytes:
    """Seal ``source`` into the new file ``name`` of ``folder``; the key. Durable when it returns.

    A key seals one file, so the pieces' numbers make nonces that never come twice.
    """
    key = AESGCM.generate_key(bit_length=256)
    cipher = AESGCM(key)
    target = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb") as stream, open(target, "wb") as sealed:  # noqa: PTH123 - a descriptor
        sealed.writelines(
            cipher.encrypt(nonce, piece, name.encode("ascii"))
            for nonce, piece in _numbered(stream, PIECE)
        )
        sealed.flush()
        os.fsync(sealed.fileno())
    return key


def pieces(folder: Path, name: str, key: bytes) -> Iterator[bytes]:
    """The content. Raises ``AttachmentUnknown`` when it is gone or not as it was kept."""
    cipher = AESGCM(key)
    try:
        with (folder / name).open("rb") as stream:
            for nonce, piece in _numbered(stream, PIECE + _TAG):
                yield cipher.decrypt(nonce, piece, name.encode("ascii"))
    except FileNotFoundError:
        raise AttachmentUnknown("the file is gone") from None
    except InvalidTag:
        raise AttachmentUnknown("the file is not as it was kept") from None


@contextmanager
def opened(folder: Path, name: str, key: bytes, workplace: Path | None) -> Iterator[Path]:
    """A plain copy in a folder of its own, gone afterwards. Raises as :func:`pieces`."""
    with TemporaryDirectory(prefix="attachment-", dir=workplace) as place:
        path = Path(place) / "document"
        with path.open("xb") as stream:
            stream.writelines(pieces(folder, name, key))
        yield path


def drop(folder: Path, name: str) -> None:
    """Remove a file; one that is gone already counts as removed."""
    (folder / name).unlink(missing_ok=True)


def _numbered(stream: BinaryIO, length: int) -> Iterator[tuple[bytes, bytes]]:
    """Pieces with their nonces: eleven bytes of number, one that says whether it is the last."""
    number, piece = 0, stream.read(length)
    while True:
        following = stream.read(length)
        yield number.to_bytes(11, "big") + bytes([not following]), piece
        if not following:
            return
        number, piece = number + 1, following
