"""What a taken-over rssp may send again, keep, or put back: it gains nothing by it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509

from remote_signing import errors
from remote_signing.identifiers import new_id
from remote_signing.sam.attempts import AttemptJournal
from remote_signing.sam.orders import fingerprint
from remote_signing.sap import SapClient, b64, encode_line
from tests.support.verbs import DIGESTS, Enrolled, Sam, activate, challenge, enrol, sign, unb64
from tests.unit.test_sam_verbs import certify_order
from tests.unit.test_sap import Peer

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from remote_signing.sap import Order, UnixAddress


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return Sam(tmp_path)


@pytest.fixture
def official(sam: Sam) -> Enrolled:
    return enrol(sam)


def dropped(sam: Sam, official: Enrolled, factor_id: str) -> Enrolled:
    order = sam.order("drop_factor", official.credential_id, factor_id=factor_id)
    answer = sam.call("drop_factor", sealed=official.sealed, order=order)
    return replace(official, sealed=cast("str", answer["sealed"]))


def try_evidence(sam: Sam, official: Enrolled, evidence: list[dict[str, str]]) -> None:
    asked = challenge(sam, official)
    with pytest.raises(errors.EvidenceInsufficient):
        sam.call(
            "activate", sealed=official.sealed, challenge=asked["challenge"], evidence=evidence
        )


# Factors that are gone


def test_pin_alone_is_too_little_after_the_phone_was_dropped_and_after_a_new_one_was_bound(
    sam: Sam, official: Enrolled
) -> None:
    between = dropped(sam, official, official.totp_id)
    pin_only = official.evidence("")[:1]
    try_evidence(sam, between, pin_only)
    members = {"factors": [{"id": new_id(1), "kind": "totp"}], "if_version": 2}
    order = sam.order("bind_factor", official.credential_id, **members)
    sam.call("bind_factor", sealed=between.sealed, order=order)
    try_evidence(sam, between, pin_only)  # the record in between, put back into the database


def test_no_evidence_is_never_enough(sam: Sam, official: Enrolled) -> None:
    bare = dropped(sam, dropped(sam, official, official.totp_id), official.pin_id)
    try_evidence(sam, bare, [])
    try_evidence(sam, enrol(sam, scal="1"), [])


def test_credential_made_with_one_factor_waits_for_a_second(sam: Sam) -> None:
    made = enrol(sam, kinds=("pin",))
    try_evidence(sam, made, made.evidence("")[:1])


def test_consent_goes_with_the_phone_that_gave_it(sam: Sam, official: Enrolled) -> None:
    asked = challenge(sam, official)
    sad = activate(sam, official, asked)
    assert sign(sam, official, asked, sad)
    dropped(sam, official, official.totp_id)
    with pytest.raises(errors.SadInvalid):
        sign(sam, official, asked, sad)


def test_challenge_does_not_outlive_a_day(sam: Sam, official: Enrolled) -> None:
    day = 24 * 60 * 60 * 1000
    assert challenge(sam, official, expires_at_ms=sam.clock.now_ms() + day)
    for late in (sam.clock.now_ms() + day + 1, 2**53 - 1):
        with pytest.raises(errors.InvalidInput):
            challenge(sam, official, expires_at_ms=late)


# Guesses sent again


def refused(sam: Sam, verb: str, arguments: dict[str, object]) -> type[Exception]:
    with pytest.raises(errors.RemoteSigningError) as refusal:
        sam.call(verb, **arguments)
    return refusal.type


@pytest.mark.parametrize("verb", ["activate", "change_pin"])
def test_a_guess_once_refused_is_no_free_try_when_its_code_would_be_right(
    sam: Sam, official: Enrolled, verb: str
) -> None:
    asked = challenge(sam, official, expires_at_ms=sam.clock.now_ms() + 24 * 60 * 60 * 1000)
    arguments: dict[str, object] = {
        "sealed": official.sealed,
        "challenge": asked["challenge"],
        "new_pin": "73519482",
        "factor_id": new_id(1),
        "evidence": official.evidence(sam.otp(official, 1000)),
    }
    assert refused(sam, verb, arguments) is errors.EvidenceInvalid
    for number in range(2):
        wrong = arguments | {"evidence": official.evidence(f"00000{number}")}
        assert refused(sam, verb, wrong) is errors.EvidenceInvalid
    sam.clock.advance(1000 * 30)
    assert refused(sam, verb, arguments) is errors.CredentialLocked


def test_a_guess_sent_again_while_its_answer_may_be_lost_costs_nothing(
    sam: Sam, official: Enrolled
) -> None:
    arguments: dict[str, object] = {
        "sealed": official.sealed,
        "challenge": challenge(sam, official)["challenge"],
        "evidence": official.evidence("000000"),
    }
    for _ in range(6):
        assert refused(sam, "activate", arguments) is errors.EvidenceInvalid
        assert sam.journal.remaining(official.credential_id) == 2
        sam.clock.advance(9)


# Orders sent again


def lock(sam: Sam, official: Enrolled) -> None:
    for _ in range(3):
        with pytest.raises(errors.EvidenceInvalid):
            activate(sam, official, challenge(sam, official), "000000")
    with pytest.raises(errors.CredentialLocked):
        activate(sam, official, challenge(sam, official))


def unlocked(sam: Sam, official: Enrolled, order: object) -> Enrolled:
    answer = sam.call("unlock", sealed=official.sealed, order=order)
    return replace(official, sealed=cast("str", answer["sealed"]))


def test_one_unlock_order_gives_guesses_once(sam: Sam, official: Enrolled) -> None:
    lock(sam, official)
    order = sam.order("unlock", official.credential_id)
    again = unlocked(sam, official, order)
    lock(sam, again)
    # Answered alike, for the first answer may have been lost; but nothing is forgotten.
    for record in (official, again):
        once_more = unlocked(sam, record, order)
        with pytest.raises(errors.CredentialLocked):
            activate(sam, once_more, challenge(sam, official))
    anew = unlocked(sam, again, sam.order("unlock", official.credential_id))
    assert activate(sam, anew, challenge(sam, official))


def test_record_from_before_the_unlocking_stays_locked(sam: Sam, official: Enrolled) -> None:
    lock(sam, official)
    anew = unlocked(sam, official, sam.order("unlock", official.credential_id))
    assert activate(sam, anew, challenge(sam, official))
    with pytest.raises(errors.CredentialLocked):
        activate(sam, official, challenge(sam, official))


@pytest.mark.parametrize("verb", ["destroy", "revoke"])
def test_guesses_at_a_credential_go_with_it_also_those_from_before_an_unlocking(
    sam: Sam, official: Enrolled, verb: str
) -> None:
    bystander = enrol(sam)
    for record in (official, bystander):
        lock(sam, record)
    unlocking = sam.order("unlock", official.credential_id)
    anew = unlocked(sam, official, unlocking)
    lock(sam, anew)
    order = sam.order(verb, official.credential_id, serial="1f", not_after_ms=2**50)
    sam.call(verb, sealed=anew.sealed, order=order)
    for reader in (sam.journal, AttemptJournal(sam.folder, limit=3)):
        for counted in (
            official.credential_id,
            f"{official.credential_id}.{fingerprint(unlocking)}",
        ):
            assert reader.remaining(counted) == 3
        assert reader.remaining(bystander.credential_id) == 0
    for record in (official, anew):
        with pytest.raises(errors.RecordRevoked):
            activate(sam, record, challenge(sam, official))


def test_unlocking_at_one_host_counts_at_every_host(
    sam: Sam, official: Enrolled, tmp_path: Path
) -> None:
    other = another_host(sam, tmp_path / "elsewhere")
    for host in (sam, other):
        lock(host, official)
    anew = unlocked(sam, official, sam.order("unlock", official.credential_id))
    for host in (other, sam):
        assert activate(host, anew, challenge(sam, official))
        lock(host, anew)


def test_unlocking_lasts_over_other_changes_of_the_record(sam: Sam, official: Enrolled) -> None:
    lock(sam, official)
    anew = unlocked(sam, official, sam.order("unlock", official.credential_id))
    answer = sam.call("certify", sealed=anew.sealed, order=certify_order(sam, official))
    certified = replace(anew, sealed=cast("str", answer["sealed"]))
    assert activate(sam, certified, challenge(sam, official))


def test_unlock_order_for_another_credential_is_refused(sam: Sam, official: Enrolled) -> None:
    order = sam.order("unlock", enrol(sam).credential_id)
    with pytest.raises(errors.OrderInvalid):
        unlocked(sam, official, order)


def test_rssp_of_the_release_before_unlocks_its_own_host_once(sam: Sam, official: Enrolled) -> None:
    lock(sam, official)
    order = sam.order("unlock", official.credential_id)
    assert sam.call("unlock", order=order) == {}
    lock(sam, official)
    assert sam.call("unlock", order=order) == {}
    with pytest.raises(errors.CredentialLocked):
        activate(sam, official, challenge(sam, official))


def test_one_certificate_order_gives_one_certificate(sam: Sam, official: Enrolled) -> None:
    order = certify_order(sam, official)
    first, second = (sam.call("certify", sealed=official.sealed, order=order) for _ in range(2))
    assert first["certificate"] == second["certificate"]
    assert first["version"] == second["version"]
    assert sam.node.certified == 1
    another = sam.call("certify", sealed=official.sealed, order=certify_order(sam, official))
    assert another["certificate"] != first["certificate"]


def issued(answer: dict[str, object]) -> x509.Certificate:
    return x509.load_der_x509_certificate(unb64(answer["certificate"]))


def another_host(sam: Sam, folder: Path) -> Sam:
    """Of the same cluster, with a journal and a revocation list of its own."""
    folder.mkdir()
    return Sam(folder, sam.node, sam.clock, sam.ra)


def test_one_certificate_order_gives_the_same_certificate_at_every_host(
    sam: Sam, official: Enrolled, tmp_path: Path
) -> None:
    hosts = (sam, another_host(sam, tmp_path / "elsewhere"))
    orders = [certify_order(sam, official) for _ in range(2)]
    first, second = (
        [issued(host.call("certify", sealed=official.sealed, order=order)) for host in hosts]
        for order in orders
    )
    assert sam.node.certified == 4, "no host knows of the other's"
    # Whoever revokes one revokes both: all that was signed is the same, the serial number first.
    assert first[0].tbs_certificate_bytes == first[1].tbs_certificate_bytes
    assert second[0].tbs_certificate_bytes == second[1].tbs_certificate_bytes
    serials = {certificate.serial_number for certificate in first + second}
    assert len(serials) == 2, "each order has its own"
    assert {number.bit_length() for number in serials} == {159}


class ByTurns:
    """One name for several hosts, as a balancer or a resolver gives it."""

    def __init__(self, *hosts: Peer) -> None:
        self._hosts = iter(hosts)

    def connect(self, timeout: float) -> socket.socket:
        return next(self._hosts).address.connect(timeout)


def test_order_whose_answer_was_lost_is_followed_alike_by_the_next_host(
    sam: Sam, official: Enrolled, tmp_path: Path
) -> None:
    other = another_host(sam, tmp_path / "elsewhere")
    first, second = Peer(tmp_path / "first.sock"), Peer(tmp_path / "second.sock")
    lost: list[dict[str, object]] = []

    def one_answer_too_few(request: dict[str, Any]) -> bytes | None:
        if request["verb"] == "certify":
            lost.append(sam.call("certify", **request["args"]))
            return None  # and the connection breaks
        return encode_line({"id": request["id"], "ok": {"number": 1}})

    first.reply = one_answer_too_few

    def answer(request: dict[str, Any]) -> bytes:
        return encode_line({"id": request["id"], "ok": other.call("certify", **request["args"])})

    second.reply = answer
    client = SapClient(cast("UnixAddress", ByTurns(first, second)), 5.0, 5.0)
    assert client.merge_revocations(b"", b"") == 1
    order = cast("Order", certify_order(sam, official))
    given = client.certify(unb64(official.sealed), order)
    assert given.certificate is not None
    (unknown,) = map(issued, lost)
    known = x509.load_der_x509_certificate(given.certificate)
    assert unknown.tbs_certificate_bytes == known.tbs_certificate_bytes
    client.close()
    for peer in (first, second):
        peer.close()


def test_of_two_workers_that_answer_one_order_the_first_one_stands(tmp_path: Path) -> None:
    first, second = AttemptJournal(tmp_path, limit=3), AttemptJournal(tmp_path, limit=3)
    assert first.answer("order") is None
    assert second.keep_answer("order", "one", 1_000) == "one"
    assert first.keep_answer("order", "two", 1_000) == "one"
    assert AttemptJournal(tmp_path, limit=3).answer("order") == "one"


def test_answers_are_kept_over_compaction_as_long_as_they_may_be_asked_for(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=3, compact_above=500)
    minute = 60_000
    journal.keep_answer("over", "a", minute)
    journal.keep_answer("alive", "b", 15 * minute)
    journal.use_sad("old-sad", {"h"}, 1, minute)
    journal.use_sad("new-sad", {"h"}, 1, 17 * minute)
    for number in range(50):
        journal.charge("credential", b"%d" % number * 16, 60_000_000)
        journal.clear("credential")
    after = AttemptJournal(tmp_path, limit=3)
    assert after.answer("over") is None
    assert after.answer("alive") == "b"
    assert "old-sad" not in (tmp_path / "attempts").read_text()
    assert "new-sad" in (tmp_path / "attempts").read_text()


# A SAD without hashes


def test_sad_without_hashes_is_for_so_many_and_no_more_over_all_calls(sam: Sam) -> None:
    seal = enrol(sam, scal="1")
    asked = challenge(sam, seal, hashes=[], count=2)
    sad = activate(sam, seal, asked)
    one, two, three = ([b64(value)] for value in DIGESTS)
    for hashes in (one, one, two, one + two):
        assert sign(sam, seal, asked, sad, hashes=hashes)
    with pytest.raises(errors.TooManySignatures):
        sign(sam, seal, asked, sad, hashes=three)


def test_signature_that_is_refused_for_its_form_uses_nothing_up(sam: Sam) -> None:
    seal = enrol(sam, scal="1")
    asked = challenge(sam, seal, hashes=[], count=1)
    sad = activate(sam, seal, asked)
    with pytest.raises(errors.DigestLengthInvalid):
        sign(sam, seal, asked, sad, hashes=[b64(b"short")])
    assert sign(sam, seal, asked, sad, hashes=[b64(DIGESTS[0])])


def test_same_hash_twice_is_refused_when_it_was_authorised_once(
    sam: Sam, official: Enrolled
) -> None:
    asked = challenge(sam, official, hashes=[b64(DIGESTS[0])] * 2 + [b64(DIGESTS[1])])
    sad = activate(sam, official, asked)
    assert len(sign(sam, official, asked, sad, hashes=[b64(DIGESTS[0])] * 2)) == 2
    with pytest.raises(errors.HashNotAuthorised):
        sign(sam, official, asked, sad, hashes=[b64(DIGESTS[1])] * 2)


# The revocation list over the wire


def test_piece_of_a_list_at_no_place_is_bad_input(sam: Sam) -> None:
    for at in (-1, True, None, "0"):
        with pytest.raises(errors.InvalidInput):
            sam.call("merge_revocations", at=at, ids="", head=None)


def test_list_of_another_host_comes_in_pieces(sam: Sam, official: Enrolled, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    other = another_host(sam, elsewhere)
    other.call(
        "destroy", sealed=official.sealed, order=other.order("destroy", official.credential_id)
    )
    ids, head = ((elsewhere / name).read_bytes() for name in ("revoked.ids", "revoked.head"))
    sam.call("merge_revocations", at=0, ids=b64(ids[:7]), head=None)
    assert sam.call("merge_revocations", at=7, ids=b64(ids[7:]), head=b64(head))["number"] == 2
    with pytest.raises(errors.RecordRevoked):
        activate(sam, official, challenge(sam, official))
