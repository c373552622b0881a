"""What authenticators write: read in one way only, judged by a foreign library, and fuzzed."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import random
from typing import TYPE_CHECKING, Any

import fido2.cbor
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    AuthenticatorData,
    CollectedClientData,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    UserVerificationRequirement,
)

from remote_signing import cbor, webauthn
from remote_signing.cbor import CborInvalid
from remote_signing.webauthn import WebauthnInvalid
from tests.support.passkeys import (
    AT,
    BE,
    BS,
    ED,
    ORIGIN,
    RP_ID,
    UP,
    UV,
    Authenticator,
    Key,
    client_data,
    cose,
)
from tests.support.passkeys import cbor as written

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = int(os.environ.get("PASSKEY_FUZZ_ROUNDS", "300"))
KEYS: list[Key] = [
    ec.generate_private_key(ec.SECP256R1()),
    Ed25519PrivateKey.generate(),
    rsa.generate_private_key(65537, 2048),
]
WHOLE = {"authData": b"x" * 100, "fmt": "none", "attStmt": {}}


# CBOR


@pytest.mark.parametrize(
    "value",
    [
        *(
            0,
            23,
            24,
            255,
            256,
            65_535,
            65_536,
            2**32 - 1,
            2**32,
            2**64 - 1,
            -1,
            -25,
            -257,
            -(2**64),
        ),
        *(b"", b"x" * 300, "", "ký số", True, False, [], [1, [2, [3, [4]]]], {}),
        {1: 2, 3: -7, -1: 1, "fmt": {"a": b"", "bb": [False]}, "attStmt": {}},
    ],
    ids=itertools.count(),
)
def test_canonical_value_is_read_as_a_foreign_library_reads_it(value: Any) -> None:
    encoded = written(value)
    assert fido2.cbor.encode(value) == encoded
    assert cbor.read(encoded) == fido2.cbor.decode(encoded) == value
    assert cbor.read_first(encoded + b"more") == (value, len(encoded))


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("", "cut short"),
        ("18", "cut short"),
        ("1817", "longer form"),
        ("190018", "longer form"),
        ("1a0000ffff", "longer form"),
        ("1b00000000ffffffff", "longer form"),
        ("3817", "longer form"),
        ("1c", "reserved"),
        ("5f4100ff", "without end"),
        ("9fff", "without end"),
        ("bfff", "without end"),
        ("62", "cut short"),
        ("61ff", "UTF-8"),
        ("5b7fffffffffffffff", "cut short"),
        ("9b7fffffffffffffff", "cut short"),
        ("bb7fffffffffffffff", "cut short"),
        ("f97e00", "float"),
        ("f6", "simple"),
        ("f7", "simple"),
        ("f820", "simple"),
        ("c000", "tag"),
        ("818181818100", "too deeply"),
        ("a1a00000", "too deeply"),
        ("a101a101a101a101a10101", "too deeply"),
        ("a1f401", "neither a number nor a text"),
        ("a14001", "neither a number nor a text"),
        ("a18001", "too deeply"),
        ("a201000100", "there twice"),
        ("a202000100", "not sorted"),
        ("a220000100", "not sorted"),
        ("a2616200616100", "not sorted"),
        ("a262616100616200", "not sorted"),
        ("0000", "after the value"),
    ],
)
def test_value_that_could_be_written_otherwise_is_refused(encoded: str, why: str) -> None:
    with pytest.raises(CborInvalid, match=why):
        cbor.read(bytes.fromhex(encoded))


def test_a_map_is_a_map() -> None:
    assert cbor.read_map(b"\xa0") == {}
    with pytest.raises(CborInvalid):
        cbor.read_map(b"\x80")


# Client data


def test_members_of_client_data_that_nobody_knows_yet_are_passed_over() -> None:
    told = client_data(
        "webauthn.get", b"c" * 32, other_keys_can_be_added_here="…", crossOrigin=None
    )
    assert webauthn.read_client_data(told) == webauthn.ClientData(
        "webauthn.get", b"c" * 32, ORIGIN, is_framed=False
    )


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"[]",
        b"\xef\xbb\xbf{}",
        b'{"type":"webauthn.get","type":"webauthn.get","challenge":"","origin":""}',
        b'{"type":7,"challenge":"","origin":""}',
        b'{"type":"","challenge":null,"origin":""}',
        b'{"type":"","challenge":""}',
        b'{"type":"","challenge":"AA==","origin":""}',
        b'{"type":"","challenge":"A","origin":""}',
        b'{"type":"","challenge":"A+/A","origin":""}',
        b'{"type":"","challenge":"AB","origin":""}',
        b'{"type":"","challenge":"\xc3\xa9","origin":""}',
        b'{"type":"","challenge":"A A","origin":""}',
        b'{"type":"","challenge":"","origin":"' + b"x" * 2048 + b'"}',
        b'{"type":' + b"[" * 1000 + b"]" * 1000 + b"}",
    ],
)
def test_client_data_that_could_be_read_otherwise_is_refused(encoded: bytes) -> None:
    with pytest.raises(WebauthnInvalid):
        webauthn.read_client_data(encoded)


# Authenticator data and keys


@pytest.mark.parametrize("key", KEYS, ids=["ES256", "EdDSA", "RS256"])
def test_registration_is_read_as_a_foreign_library_reads_it(key: Any) -> None:
    device = Authenticator(key, counter=5, flags=UP | UV | BE | BS, aaguid=b"m" * 16)
    data = device.data(device.flags | AT, device.attested())
    ours, theirs = webauthn.read_authenticator_data(data), AuthenticatorData(data)
    assert ours.attested is not None
    assert theirs.credential_data is not None
    assert ours.rp_id_hash == theirs.rp_id_hash
    assert (ours.is_present, ours.is_verified) == (
        theirs.is_user_present(),
        theirs.is_user_verified(),
    )
    assert (ours.is_eligible, ours.is_backed_up, ours.counter) == (True, True, theirs.counter)
    assert ours.attested.credential_id == theirs.credential_data.credential_id
    assert ours.attested.aaguid == bytes(theirs.credential_data.aaguid)
    assert fido2.cbor.encode(dict(theirs.credential_data.public_key)) == ours.attested.public_key


def test_extensions_are_one_map_and_nothing_follows() -> None:
    device = Authenticator()
    whole = device.data(UP | ED, written({"a": 1}))
    assert webauthn.read_authenticator_data(whole).is_present
    for tail in (b"", written([1]), written({"a": 1}) + b"x", b"\xa1"):
        with pytest.raises(WebauthnInvalid):
            webauthn.read_authenticator_data(device.data(UP | ED, tail))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:36],
        lambda data: data + b"x",
        lambda data: data + b"x" * 2048,
        lambda data: data[:-1],
        lambda data: data[:53] + b"\0\0" + data[55:],
        lambda data: data[:53] + b"\x04\0" + data[55:] + b"x" * 1024,
        lambda data: data[:53] + b"\x03\xff" + data[55:],
        lambda data: data[:71] + b"\xff" + data[72:],
    ],
    ids=itertools.count(),
)
def test_registration_that_is_not_whole_is_refused(change: Callable[[bytes], bytes]) -> None:
    device = Authenticator()
    data = device.data(UP | UV | AT, device.attested())
    with pytest.raises(WebauthnInvalid):
        webauthn.read_authenticator_data(change(data))


EC, ED25519, RSA = map(cose, KEYS)


@pytest.mark.parametrize(
    "members",
    [
        EC | {3: -35},
        EC | {3: True},
        EC | {3: "ES256"},
        EC | {1: 3},
        EC | {-1: 2},
        EC | {-1: True},
        EC | {4: [2]},
        EC | {-2: EC[-2][1:]},
        EC | {-3: True},
        EC | {-3: bytes(32)},
        {name: EC[name] for name in (1, 3, -1, -2)},
        ED25519 | {-1: 4},
        ED25519 | {-2: bytes(31)},
        ED25519 | {-3: b""},
        RSA | {-2: b"\x03"},
        RSA | {-2: 65537},
        RSA | {-1: RSA[-1][:128]},
        RSA | {-1: RSA[-1] * 2 + b"\x01"},
        RSA | {-1: RSA[-1][:-1] + b"\0"},
        RSA | {1: 2},
        {1: 3, 3: -257, -1: b"x" * 700, -2: b"\x01\x00\x01"},
        {},
    ],
    ids=itertools.count(),
)
def test_public_key_that_nobody_should_sign_with_is_refused(members: dict[int, Any]) -> None:
    with pytest.raises(WebauthnInvalid):
        webauthn.load_key(written(members))


def test_public_key_is_a_map() -> None:
    for encoded in (b"\x80", b"\xa1"):
        with pytest.raises(WebauthnInvalid):
            webauthn.load_key(encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        written([]),
        written({**WHOLE, "more": 1}),
        written({name: WHOLE[name] for name in ("fmt", "authData")}),
        written(WHOLE | {"fmt": 7}),
        written(WHOLE | {"attStmt": []}),
        written(WHOLE | {"authData": "x"}),
        written(WHOLE | {"authData": bytes(16 * 1024)}),
    ],
    ids=len,
)
def test_attestation_object_of_another_shape_is_refused(encoded: bytes) -> None:
    with pytest.raises(WebauthnInvalid):
        webauthn.read_attestation(encoded)


# A foreign library judges the authenticator that the tests use, and agrees about its answers


def _server() -> Fido2Server:
    return Fido2Server(PublicKeyCredentialRpEntity(id=RP_ID, name="Ký số"))


@pytest.mark.parametrize("key", KEYS, ids=["ES256", "EdDSA", "RS256"])
def test_a_foreign_server_lets_in_what_our_authenticator_makes_and_accepts_its_answer(
    key: Any,
) -> None:
    device, server = Authenticator(key), _server()
    user = PublicKeyCredentialUserEntity(id=b"u", name="u", display_name="u")
    _, state = server.register_begin(
        user, user_verification=UserVerificationRequirement.REQUIRED, challenge=b"c" * 32
    )
    made = device.make(b"c" * 32)
    response = AuthenticatorAttestationResponse(
        client_data=CollectedClientData(_raw(made["client_data"])),
        attestation_object=AttestationObject(_raw(made["attestation_object"])),
    )
    registered = server.register_complete(
        state, RegistrationResponse(raw_id=device.credential_id, response=response)
    )
    assert registered.credential_data is not None
    known = [AttestedCredentialData(bytes(registered.credential_data))]
    _, state = server.authenticate_begin(
        known, user_verification=UserVerificationRequirement.REQUIRED, challenge=b"d" * 32
    )
    signature, rest = device.answer(b"d" * 32)
    answer = AuthenticatorAssertionResponse(
        client_data=CollectedClientData(_raw(rest["client_data"])),
        authenticator_data=AuthenticatorData(_raw(rest["authenticator_data"])),
        signature=signature,
    )
    server.authenticate_complete(
        state, known, AuthenticationResponse(raw_id=device.credential_id, response=answer)
    )
    data, said = _raw(rest["authenticator_data"]), _raw(rest["client_data"])
    assert webauthn.verifies(written(cose(key)), signature, data, said)


def _raw(text: str) -> bytes:
    return base64.b64decode(text)


@pytest.mark.parametrize("key", KEYS, ids=["ES256", "EdDSA", "RS256"])
def test_signatures_are_judged_as_a_foreign_library_judges_them(key: Any) -> None:
    device, chance = Authenticator(key), random.Random(7)  # noqa: S311 - the same inputs each time
    public_key = written(cose(key))
    theirs = CoseKey.parse(cose(key))
    signature, rest = device.answer(b"c" * 32)
    data, said = _raw(rest["authenticator_data"]), _raw(rest["client_data"])
    signed = data + hashlib.sha256(said).digest()
    for _ in range(40):
        changed = bytearray(signature)
        changed[chance.randrange(len(changed))] ^= chance.randrange(256)
        try:
            theirs.verify(signed, bytes(changed))
            accepted = True
        except Exception:  # noqa: BLE001 - whatever it says, it has not accepted
            accepted = False
        assert webauthn.verifies(public_key, bytes(changed), data, said) is accepted


# Fuzzing: PASSKEY_FUZZ_ROUNDS=200000 for figures


def test_no_rubbish_raises_anything_but_its_refusal_and_what_is_read_is_canonical() -> None:
    chance = random.Random(20261126)  # noqa: S311 - the same inputs each time
    device = Authenticator()
    seeds = [
        written(
            {"fmt": "none", "attStmt": {}, "authData": device.data(UP | AT, device.attested())}
        ),
        device.data(UP | UV | AT, device.attested()),
        device.data(UP | UV | ED, written({"a": [1, {"b": b"c"}]})),
        client_data("webauthn.get", b"c" * 32),
        *map(written, (EC, ED25519, RSA)),
    ]
    readers: list[Callable[[bytes], object]] = [
        webauthn.read_attestation,
        webauthn.read_authenticator_data,
        webauthn.read_client_data,
        webauthn.load_key,
    ]
    read = refused = 0
    for number in range(ROUNDS):
        data = _mutated(chance, seeds[number % len(seeds)])
        for reader in readers:
            try:
                reader(data)
                read += 1
            except WebauthnInvalid:
                refused += 1
        try:
            assert written(cbor.read(data)) == data
        except CborInvalid:
            refused += 1
    print(f"{ROUNDS} mutated inputs, five readers: {read} read, {refused} refused")
    assert refused > read > 0


def _mutated(chance: random.Random, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randrange(0, 4)):
        place = chance.randrange(len(data)) if data else 0
        match chance.randrange(4):
            case 0:
                data[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[place : place + chance.randrange(1, 9)]
            case 2:
                data[place:place] = chance.randbytes(chance.randrange(1, 9))
            case _ if data:
                data[place] ^= 1 << chance.randrange(8)
    return bytes(data)
