"""JAdES (ETSI TS 119 182-1 V1.2.1) of a file, or of its digest alone.

Attached: the file is the payload. Detached: ``sigD`` has the file's digest (ObjectIdByURIHash), and
the payload counts as empty. Parallel: the file is a JWS already, to which a signature is added.
A signature with nothing unsigned is in compact form, any other in JSON, since ``etsiU`` is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from remote_signing import strict_json
from remote_signing.rssp.documents import jades_signed, jades_unsigned, jws
from remote_signing.rssp.documents.model import Prepared, Unsealed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remote_signing.rssp.documents.model import Ending, Recipe

RESULT: Final = ".jws"
"""What the name of the file with the signature ends with, beside the document's."""
_BY_HASH: Final = "http://uri.etsi.org/19182/ObjectIdByURIHash"
_ENDS: Final = {False: b"]}}", True: b"]}}]}"}  # what follows etsiU's last element


def prepare(recipe: Recipe, path: Path) -> Prepared:
    """The protected header over the file, and the digest of both, the DTBS/R.

    Raises ``DocumentUnusable`` (public ``reason``) for a Parallel signature of what is no JWS, and
    ``AlgorithmUnsupported`` where JWA has no name for the algorithm.
    """
    if recipe.envelope == "Detached":
        header = _header(recipe, _file_digest(path, recipe.digest))
        return Prepared(header, _dtbs_r(recipe, header, iter(())), path)
    header = _header(recipe)
    return Prepared(header, _dtbs_r(recipe, header, _payload(recipe, path)), path)


def prepare_digest(recipe: Recipe, sdr: bytes) -> Prepared:
    """The same for a document of which only the digest ``sdr`` is known."""
    header = _header(recipe, sdr)
    return Prepared(header, _dtbs_r(recipe, header, iter(())))


def stamped(recipe: Recipe, _prepared: Prepared, signature: bytes) -> bytes:
    """What the signature time stamp is over: the signature value in base64url (cl. 5.3.4)."""
    return jws.value(recipe.scheme, recipe.certificate, signature)


def finish(recipe: Recipe, prepared: Prepared, ending: Ending) -> Unsealed | None:
    """Write the signature beside the file; for B-LTA, what is to be stamped."""
    path = prepared.path
    assert path is not None  # noqa: S101 - of a document there is always a file
    unsigned = _unsigned(recipe, ending)
    with result(recipe, path).open("wb") as stream:
        if recipe.envelope == "Parallel":
            stream.writelines(_general(recipe, prepared, ending, unsigned))
        else:
            detached = recipe.envelope == "Detached"
            payload = iter(()) if detached else jws.encoded(path)
            stream.writelines(_single(prepared, _value(recipe, ending), unsigned, payload))
        end = stream.tell()
    if not recipe.reaches("B-LTA"):
        return None
    start = end - len(_ENDS[recipe.envelope == "Parallel"])
    covered = _archive_input(recipe, prepared, ending, unsigned)
    return Unsealed(_hash("sha256", covered), "sha256", (start, end))


def finish_digest(recipe: Recipe, prepared: Prepared, ending: Ending) -> bytes:
    """The signature of a digest, which has no document beside it."""
    unsigned = _unsigned(recipe, ending)
    return b"".join(_single(prepared, _value(recipe, ending), unsigned, iter(())))


def seal(recipe: Recipe, prepared: Prepared, unsealed: Unsealed, stamp: bytes) -> None:
    """Add the archive time stamp as the last element of ``etsiU``."""
    assert prepared.path is not None  # noqa: S101 - as above
    start, _ = unsealed.hole
    with result(recipe, prepared.path).open("r+b") as stream:
        stream.seek(start)
        end = stream.read()
        stream.seek(start)
        stream.write(b',"%s"%s' % (jades_unsigned.archive_stamp(stamp), end))


def result(_recipe: Recipe, path: Path) -> Path:
    """Beside the document at ``path``."""
    return path.with_suffix(RESULT)


def enveloped(recipe: Recipe) -> bool:
    """Whether the JWS has its payload in it."""
    return recipe.envelope != "Detached"


def property_text(name: str, value: bytes | None, *, has_document: bool) -> str | None:  # noqa: ARG001 - as others
    """The header parameter in JSON."""
    found = None if value is None else jades_signed.read(name, value)
    return None if found is None else strict_json.canonical(found).decode()


def _header(recipe: Recipe, sdr: bytes | None = None) -> bytes:
    """The JWS Protected Header in base64url; ``sdr`` is the digest for ``sigD``."""
    members: dict[str, Any] = {
        "alg": jws.algorithm(recipe.scheme, recipe.certificate),
        "iat": recipe.claimed_ms // 1000,
        "x5c": [_base64(each) for each in dict.fromkeys([recipe.certificate, *recipe.chain[:-1]])],
        "x5t#S256": jws.encode(hashlib.sha256(recipe.certificate).digest()).decode(),
        **{name: json.loads(text) for name, text in recipe.texts.items()},
    }
    if sdr is not None:
        kind = members.pop("cty", None)  # of what is elsewhere it is told there (cl. 5.1.3)
        members["sigD"] = _reference(recipe, sdr) | ({} if kind is None else {"ctys": [kind]})
        # The digest is of the document as it is, so nothing is encoded (cl. 5.2.8.3.3, RFC 7797).
        members |= {"b64": False, "crit": ["b64", "sigD"]}
    return jws.encode(strict_json.canonical(members))


def _reference(recipe: Recipe, sdr: bytes) -> dict[str, Any]:
    digest = jws.encode(sdr).decode()
    bits = recipe.scheme.digest.length * 8
    # RFC 6920: where no other name is told, the one that says what the document is and no more.
    name = recipe.reference_uri or f"ni:///sha-{bits};{digest}"
    return {
        "mId": _BY_HASH,
        "pars": [name],
        "hashM": f"S{bits}",
        "hashV": [digest],
    }


def _payload(recipe: Recipe, path: Path) -> Iterator[bytes]:
    """The JWS Payload in base64url, in pieces."""
    if recipe.envelope == "Parallel":
        return iter((jws.read(path.read_bytes()).payload.encode(),))
    return jws.encoded(path)


def _dtbs_r(recipe: Recipe, header: bytes, payload: Iterator[bytes]) -> bytes:
    """The digest of the JWS Signing Input (RFC 7515 cl. 5.1)."""
    return _hash(recipe.digest, (part for parts in ((header, b"."), payload) for part in parts))


def _value(recipe: Recipe, ending: Ending) -> bytes:
    return jws.value(recipe.scheme, recipe.certificate, ending.signature)


def _unsigned(recipe: Recipe, ending: Ending) -> list[bytes]:
    """The elements of ``etsiU`` before the archive time stamp, in base64url."""
    if ending.stamp is None:
        return []
    found = [jades_unsigned.signature_stamp(ending.stamp)]
    if recipe.reaches("B-LT"):
        in_header = {recipe.certificate, *recipe.chain[:-1]}
        found += jades_unsigned.validation_data(ending.material, ending.stamp, in_header)
    return found


def _single(
    prepared: Prepared, signature: bytes, unsigned: list[bytes], payload: Iterator[bytes]
) -> Iterator[bytes]:
    """Compact form, or flattened JSON with ``etsiU`` at its end."""
    if not unsigned:
        yield prepared.attributes + b"."
        yield from payload
        yield b"." + signature
        return
    yield b'{"payload":"'
    yield from payload
    yield b'",' + _members(prepared.attributes, signature, unsigned)


def _general(
    recipe: Recipe, prepared: Prepared, ending: Ending, unsigned: list[bytes]
) -> Iterator[bytes]:
    """General JSON: the signatures that are there, and ours as the last."""
    assert prepared.path is not None  # noqa: S101 - as above
    found = jws.read(prepared.path.read_bytes())
    yield b'{"payload":"%s","signatures":[' % found.payload.encode()
    for each in found.signatures:
        yield json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() + b","
    signature = _value(recipe, ending)
    yield b"{" + _members(prepared.attributes, signature, unsigned) + b"]}"


def _members(protected: bytes, signature: bytes, unsigned: list[bytes]) -> bytes:
    """A signature's own members and the end of its object; ``etsiU`` is the last."""
    own = b'"protected":"%s","signature":"%s"' % (protected, signature)
    if not unsigned:
        return own + b"}"
    return own + b',"header":{"etsiU":["%s"]}}' % b'","'.join(unsigned)


def _archive_input(
    recipe: Recipe, prepared: Prepared, ending: Ending, unsigned: list[bytes]
) -> Iterator[bytes]:
    """What the archive time stamp is over (cl. 5.3.6.3.1), its elements encoded in ``etsiU``."""
    assert prepared.path is not None  # noqa: S101 - as above
    if recipe.envelope == "Detached":
        with prepared.path.open("rb") as stream:
            yield from iter(lambda: stream.read(1 << 18), b"")
    else:
        yield from _payload(recipe, prepared.path)
    yield b".".join((b"", prepared.attributes, _value(recipe, ending), b""))
    yield from unsigned


def _hash(algorithm: str, parts: Iterator[bytes]) -> bytes:
    made = hashlib.new(algorithm)
    for part in parts:
        made.update(part)
    return made.digest()


def _file_digest(path: Path, algorithm: str) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).digest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
