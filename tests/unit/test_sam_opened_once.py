"""Of many uses of one consent the first asks the HSM to open it, and each is checked in full."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from remote_signing import errors
from remote_signing.sap import b64
from tests.support.verbs import Enrolled, Sam, activate, challenge, enrol, sign, unb64

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_COUNT = 5


class Consent:
    """A SAD of a seal, for five signatures over anything, of which one was made."""

    def __init__(self, folder: Path) -> None:
        self.sam = Sam(folder)
        self.signer: Enrolled = enrol(self.sam, scal="1")
        self.asked = challenge(self.sam, self.signer, hashes=[], count=_COUNT)
        self.sad = activate(self.sam, self.signer, self.asked)
        self.use(0)

    def use(self, number: int, **changes: object) -> list[bytes]:
        value = hashlib.sha256(b"document %d" % number).digest()
        arguments = {"hashes": [b64(value)], **changes}
        return sign(self.sam, self.signer, self.asked, self.sad, **arguments)


@pytest.fixture
def consent(tmp_path: Path) -> Consent:
    return Consent(tmp_path)


def test_further_uses_of_a_consent_ask_the_hsm_to_open_nothing(
    consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []
    real = consent.sam.node.unseal

    def unseal(domain: bytes, sealed: bytes, associated: bytes) -> bytes:
        opened.append(domain)
        return real(domain, sealed, associated)

    monkeypatch.setattr(consent.sam.node, "unseal", unseal)
    for number in range(1, _COUNT):
        assert len(consent.use(number)) == 1
    assert opened == []
    consent.asked = challenge(consent.sam, consent.signer, hashes=[], count=1)
    consent.sam.clock.advance(30)
    consent.sad = activate(consent.sam, consent.signer, consent.asked)
    opened.clear()
    consent.use(0)
    assert opened == [b"sad"]


def test_the_count_goes_on_over_all_uses(consent: Consent) -> None:
    for number in range(1, _COUNT):
        consent.use(number)
    with pytest.raises(errors.TooManySignatures):
        consent.use(_COUNT)


def expire(consent: Consent) -> dict[str, object]:
    consent.sam.clock.advance(consent.sam.config.sad_lifetime_ms / 1000)
    return {}


def destroy(consent: Consent) -> dict[str, object]:
    order = consent.sam.order("destroy", consent.signer.credential_id)
    consent.sam.call("destroy", sealed=consent.signer.sealed, order=order)
    return {}


def remove_the_phone(consent: Consent) -> dict[str, object]:
    consent.sam.revoked.add([consent.signer.totp_id])
    return {}


def other_activation(consent: Consent) -> dict[str, object]:
    return {"activation_id": consent.signer.credential_id}


def other_client(_consent: Consent) -> dict[str, object]:
    return {"client_id": "another"}


def changed(sealed: str) -> str:
    octets = bytearray(unb64(sealed))
    octets[-1] ^= 1
    return b64(bytes(octets))


def changed_sad(consent: Consent) -> dict[str, object]:
    consent.sad = changed(consent.sad)
    return {}


def changed_record(consent: Consent) -> dict[str, object]:
    return {"sealed": changed(consent.signer.sealed)}


def other_record(consent: Consent) -> dict[str, object]:
    return {"sealed": enrol(consent.sam, scal="1").sealed}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (expire, errors.SadExpired),
        (destroy, errors.RecordRevoked),
        (remove_the_phone, errors.SadInvalid),
        (other_activation, errors.SadInvalid),
        (other_client, errors.SadInvalid),
        (changed_sad, errors.SadInvalid),
        (changed_record, errors.SealBroken),
        (other_record, errors.SadInvalid),
    ],
)
def test_what_was_opened_before_is_refused_for_what_came_since(
    consent: Consent,
    change: Callable[[Consent], dict[str, object]],
    refusal: type[errors.RemoteSigningError],
) -> None:
    changes = change(consent)
    for _ in range(2):
        with pytest.raises(refusal):
            consent.use(1, **changes)
