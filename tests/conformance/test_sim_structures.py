"""What the SAM builds is what a card reads and signs: two programs, one document."""

from __future__ import annotations

import hashlib

import pytest

from remote_signing.sam import consent_structure
from remote_signing.sam.sad import Bound
from sim_adapter.ota import structure
from sim_adapter.ota.errors import SegmentRefused
from sim_adapter.ota.messages import SignRequest
from sim_adapter.ota.orders import Mode
from sim_adapter.ota.packet import seal_command
from sim_adapter.ota.segments import PacketKind, split
from sim_adapter.ota.spi import COMMAND
from tests.support.sim_chip import RECORD
from tests.support.sim_messages import TRANSACTION

NOW_MS = 1_800_000_000_000
VIETNAMESE = "Bộ Nội vụ: ký 12/QĐ-BNV về bổ nhiệm"


def built(
    count: int, shown: str, label: str = "12/QĐ-BNV", algorithm: str = "sha512"
) -> consent_structure.ConsentStructure:
    bound = Bound(
        activation_id="01mcc5rm00mratbh8wk05wn2gg",
        credential_id="01mcc5rm00mratbh8wk05wn2gh",
        client_id="portal",
        hash_algorithm=algorithm,
        hashes=tuple(hashlib.new(algorithm, bytes([at])).hexdigest() for at in range(count)),
        count=count,
        display_sha256="00" * 32,
        nonce="ab" * 32,
        not_before_ms=NOW_MS,
        expires_at_ms=NOW_MS + 300_000,
    )
    return consent_structure.build(
        bound,
        service_id="ký số từ xa",
        certificate_sha256=bytes(32),
        mode="structure",
        display_text=shown,
        labels=[label] * count,
    )


@pytest.mark.parametrize("count", [1, 3, 4, 200])
@pytest.mark.parametrize("shown", [VIETNAMESE, "Ky 12/QD-BNV", "a" * 239, "ế" * 119], ids=len)
def test_a_card_reads_what_the_sam_builds(count: int, shown: str) -> None:
    made = built(count, shown)
    found = structure.parse_consent(made.encoded)
    assert (found.text, found.count) == (made.message, count)
    assert (found.not_before_ms, found.expires_ms) == (NOW_MS, NOW_MS + 300_000)


def over_the_air(made: consent_structure.ConsentStructure) -> list[bytes]:
    request = SignRequest(TRANSACTION, Mode.STRUCTURE, 1, 1, structure=made.encoded)
    sealed = seal_command(COMMAND, RECORD.command_keys, RECORD.tar, 1, request.encode())
    return split(PacketKind.COMMAND, sealed, 1)


LONGEST_LABEL = "Quyết định 12/QĐ-UBND về việc bổ nhiệm ô"
UTMOST_LABEL = "ế" * 40  # three octets of UTF-8 each; nobody writes so


@pytest.mark.parametrize(
    ("label", "algorithm"), [(LONGEST_LABEL, "sha512"), (UTMOST_LABEL, "sha256")]
)
def test_the_longest_structure_goes_over_the_air_in_eight_messages(
    label: str, algorithm: str
) -> None:
    assert len(label) == 40
    assert len(over_the_air(built(3, "ế" * 119, label, algorithm))) <= 8


def test_beyond_that_it_is_refused_and_never_cut() -> None:
    with pytest.raises(SegmentRefused):
        over_the_air(built(3, "ế" * 119, UTMOST_LABEL, "sha512"))


def test_a_card_proves_possession_of_what_the_sam_asks_for() -> None:
    asked = ("01mcc5rm00mratbh8wk05wn2gh", bytes(range(32)), b"a public key")
    assert structure.possession(*asked) == consent_structure.possession(*asked)
