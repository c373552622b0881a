"""Secured packets: foreign vectors both ways, and what a packet that fails tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim_adapter.ota import packet, spi
from sim_adapter.ota.ciphers import Algorithm
from sim_adapter.ota.counters import CounterRule
from sim_adapter.ota.errors import Malformed, OtaError, SecretInvalid, SecurityRefused
from sim_adapter.ota.keysets import CardIssuer, KeySet, read_secret
from sim_adapter.ota.packet import ResponseStatus
from sim_adapter.ota.spi import Integrity, Proof, SecurityParameters

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data/mss/ota-vectors.json").read_text(encoding="utf-8")
)
COMMANDS = VECTORS["commands"]
RESPONSES = VECTORS["por"]
TAR = bytes.fromhex("b00011")
KEYS = KeySet(1, Algorithm.AES, bytes(range(16)), bytes(range(16, 32)))
OTHER = KeySet(1, Algorithm.AES, bytes(range(16)), bytes(range(1, 17)))


def keys_of(vector: dict[str, Any]) -> KeySet:
    indicator = bytes.fromhex(vector["kic_kid_hex"])[0]
    return KeySet(
        indicator >> 4,
        Algorithm(indicator & 0x0F),
        bytes.fromhex(vector["kic"]),
        bytes.fromhex(vector["kid"]),
    )


BY_NAME = {vector["keyset"]: keys_of(vector) for vector in COMMANDS}


def name(vector: dict[str, Any]) -> str:
    return f"{vector['keyset']}-{vector['spi_hex']}-{len(vector['data']) // 2}"


@pytest.mark.parametrize("vector", COMMANDS, ids=name)
def test_a_command_vector_passes_both_ways(vector: dict[str, Any]) -> None:
    parameters = SecurityParameters.parse(bytes.fromhex(vector["spi_hex"]))
    keys, data = keys_of(vector), bytes.fromhex(vector["data"])
    sealed = packet.seal_command(
        parameters, keys, bytes.fromhex(vector["tar"]), vector["cntr"], data
    )
    assert sealed.hex() == vector["packet"]
    command = packet.parse_command(bytes.fromhex(vector["packet"]))
    assert command.tar.hex() == vector["tar"]
    assert packet.open_command(command, keys) == packet.OpenedCommand(vector["cntr"], data)


@pytest.mark.parametrize("number", range(len(RESPONSES)))
def test_a_response_vector_passes_both_ways(number: int) -> None:
    vector = RESPONSES[number]
    octets, keys = bytes.fromhex(vector["hex"])[3:], BY_NAME[vector["keyset"]]
    asked = SecurityParameters(
        Integrity.CRYPTOGRAPHIC,
        is_ciphered=True,
        counter=CounterRule.HIGHER,
        proof=Proof.ALWAYS,
        proof_integrity=Integrity.CRYPTOGRAPHIC if vector["cc"] else Integrity.NONE,
        is_proof_ciphered=vector["ciphered"],
    )
    response = packet.open_response(octets, asked, keys)
    assert (response.tar, response.status) == (TAR, ResponseStatus.OK)
    assert response.data == bytes.fromhex("016132")  # one command, SW 6132
    assert response.is_proven == vector["cc"]
    again = packet.seal_response(
        asked, keys, TAR, response.counter, status=response.status, data=response.data
    )
    assert again == octets


def test_the_vectors_are_all_there() -> None:
    assert (len(COMMANDS), len(RESPONSES)) == (36, 4)


@pytest.mark.parametrize("at", range(40))
def test_a_command_with_one_changed_octet_is_refused(at: int) -> None:
    sealed = bytearray(packet.seal_command(spi.COMMAND, KEYS, TAR, 7, b"consent"))
    sealed[at % len(sealed)] ^= 1 << at % 8
    with pytest.raises(OtaError):
        packet.open_command(packet.parse_command(bytes(sealed)), KEYS)


@pytest.mark.parametrize("at", range(32))
def test_a_response_with_one_changed_octet_proves_nothing(at: int) -> None:
    sealed = bytearray(
        packet.seal_response(spi.COMMAND, KEYS, TAR, 7, status=ResponseStatus.OK, data=b"done")
    )
    sealed[at % len(sealed)] ^= 1 << at % 8
    with pytest.raises(OtaError):
        packet.open_response(bytes(sealed), spi.COMMAND, KEYS)


def test_another_checksum_key_and_broken_padding_fail_in_the_same_way() -> None:
    for sealed, keys in (
        (packet.seal_command(spi.COMMAND, KEYS, TAR, 7, b"consent"), OTHER),
        (packet.seal_command(spi.COMMAND, OTHER, TAR, 7, b"consent"), KEYS),
        (packet.seal_command(spi.COMMAND, KEYS, TAR, 7, b"")[:-16], KEYS),
    ):
        fixed = (len(sealed) - 2).to_bytes(2, "big") + sealed[2:]
        with pytest.raises(SecurityRefused):
            packet.open_command(packet.parse_command(fixed), keys)


def test_half_a_block_is_refused() -> None:
    sealed = packet.seal_command(spi.COMMAND, KEYS, TAR, 7, b"consent")[:-1]
    fixed = (len(sealed) - 2).to_bytes(2, "big") + sealed[2:]
    with pytest.raises(SecurityRefused, match="blocks"):
        packet.open_command(packet.parse_command(fixed), KEYS)


def test_another_key_version_is_refused() -> None:
    sealed = packet.seal_command(spi.COMMAND, KEYS, TAR, 7, b"")
    newer = KeySet(2, Algorithm.AES, KEYS.cipher_key, KEYS.checksum_key)
    with pytest.raises(SecurityRefused):
        packet.open_command(packet.parse_command(sealed), newer)


def test_padding_that_is_not_zero_is_refused() -> None:
    unciphered = SecurityParameters(Integrity.NONE, is_ciphered=False, counter=CounterRule.NONE)
    sealed = bytearray(packet.seal_command(unciphered, KEYS, TAR, 7, b"ab\x01"))
    sealed[15] = 1  # PCNTR
    with pytest.raises(SecurityRefused):
        packet.open_command(packet.parse_command(bytes(sealed)), KEYS)
    sealed[15] = 200
    with pytest.raises(SecurityRefused):
        packet.open_command(packet.parse_command(bytes(sealed)), KEYS)


@pytest.mark.parametrize(
    "octets",
    [b"", b"\x00", bytes(12), bytes.fromhex("000c0d16191212b0001100000000")],
    ids=["nothing", "one", "zeros", "short header"],
)
def test_octets_that_are_no_packet_are_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed):
        packet.parse_command(octets)
    with pytest.raises(Malformed):
        packet.open_response(octets, spi.COMMAND, KEYS)


@pytest.mark.parametrize("octets", ["e619", "16c9", "1603"])
def test_reserved_security_parameters_are_malformed(octets: str) -> None:
    with pytest.raises(Malformed):
        SecurityParameters.parse(bytes.fromhex(octets))


@pytest.mark.parametrize("octets", ["1100", "1700"])
def test_redundancy_checks_and_signatures_are_not_spoken(octets: str) -> None:
    parameters = SecurityParameters.parse(bytes.fromhex(octets))
    with pytest.raises(Malformed):
        packet.seal_command(parameters, KEYS, TAR, 1, b"")


def test_all_security_parameters_are_written_as_they_were_read() -> None:
    for first in range(0x20):
        for second in (octet for octet in range(0x40) if octet & 3 != 3):
            octets = bytes([first, second])
            assert SecurityParameters.parse(octets).octets == octets


@pytest.mark.parametrize(
    ("first", "is_strong"),
    [("16", True), ("1e", True), ("12", False), ("06", False), ("0e", False), ("14", False)],
)
def test_strong_means_checksum_cipher_and_rising_counter(first: str, *, is_strong: bool) -> None:
    assert SecurityParameters.parse(bytes.fromhex(first + "19")).is_strong == is_strong


def test_a_bare_response_holds_a_status_and_nothing_else() -> None:
    octets = packet.bare_response(TAR, ResponseStatus.CHECK_FAILED)
    response = packet.open_response(octets, spi.COMMAND, KEYS)
    assert response == packet.Response(TAR, 0, ResponseStatus.CHECK_FAILED, b"", is_proven=False)
    with pytest.raises(SecurityRefused, match="status"):
        packet.open_response(octets[:-1] + b"\x7f", spi.COMMAND, KEYS)


def test_keys_do_not_show_in_a_text() -> None:
    record = CardIssuer(bytes(32)).card("84900000000")
    assert record.command_keys.cipher_key.hex() not in repr(record)
    assert "cipher_key" not in repr(record)


def test_a_new_sim_for_the_same_number_has_other_keys() -> None:
    issuer = CardIssuer(bytes(32))
    old, new = issuer.card("84900000000"), issuer.card("84900000000", 1)
    assert old.iccid != new.iccid
    assert old.command_keys.checksum_key != new.command_keys.checksum_key
    assert old.command_keys.checksum_key != old.response_keys.checksum_key


def test_a_key_set_of_the_wrong_size_is_not_made() -> None:
    with pytest.raises(ValueError, match="key"):
        KeySet(1, Algorithm.AES, bytes(8), bytes(16))
    with pytest.raises(ValueError, match="version"):
        KeySet(16, Algorithm.AES, bytes(16), bytes(16))
    with pytest.raises(ValueError, match="phone number"):
        CardIssuer(bytes(32)).card("+849000")
    with pytest.raises(SecretInvalid):
        CardIssuer(bytes(31))


def test_a_secret_is_read_only_from_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(b"geheim\n")
    path.chmod(0o644)
    with pytest.raises(SecretInvalid, match="others"):
        read_secret(path)
    path.chmod(0o600)
    assert read_secret(path) == b"geheim"
    with pytest.raises(SecretInvalid, match="length"):
        read_secret(path, 32)
    path.write_bytes(b"\n")
    with pytest.raises(SecretInvalid, match="empty"):
        read_secret(path)
