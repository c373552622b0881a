"""The client of the SAP against a peer that answers what a test tells it to."""

from __future__ import annotations

import inspect
import json
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from remote_signing.errors import EvidenceInvalid, InvalidInput, SamUnavailable, SamUnreachable
from remote_signing.sam.config import Deadlines
from remote_signing.sap import (
    MAX_LINE,
    ChallengeRequest,
    Resealed,
    SapClient,
    SignRequest,
    UnixAddress,
    b64,
    encode_line,
    sim_evidence,
    unb64,
)
from remote_signing.sap_messages import TotpUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remote_signing.sap import Order, SimEvidence, SimPossession

ORDER: Order = {"payload": "AA==", "signature": "AA=="}


class Peer:
    """Answers each line with ``reply(request)``: bytes as they are, None closes the connection."""

    def __init__(self, path: Path) -> None:
        self.address = UnixAddress(path)
        self.requests: list[dict[str, object]] = []
        self.connections = 0
        self.reply: Callable[[dict[str, object]], bytes | None] = lambda _: None
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def ok(self, **members: object) -> None:
        self.reply = lambda request: encode_line({"id": request["id"], "ok": members})

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with suppress(OSError), link, link.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                self.requests.append(request)
                answer = self.reply(request)
                if answer is None:
                    link.shutdown(socket.SHUT_RDWR)
                    return
                link.sendall(answer)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    found = Peer(tmp_path / "sap.sock")
    yield found
    found.close()


@pytest.fixture
def client(peer: Peer) -> Iterator[SapClient]:
    found = SapClient(peer.address, timeout=5.0)
    yield found
    found.close()


def test_each_verb_sends_its_arguments_and_reads_its_answer(peer: Peer, client: SapClient) -> None:
    peer.ok(sealed="AQ==", version=3, public_key="Ag==", csr="Aw==", secrets="BA==")
    made = client.create_credential(ORDER)
    assert (made.sealed, made.version, made.public_key) == (b"\1", 3, b"\2")
    assert (made.csr, made.secrets) == (b"\3", b"\4")
    peer.ok(sealed="AQ==", version=4, certificate="BQ==")
    assert client.certify(b"s", ORDER).certificate == b"\5"
    assert client.install_certificate(b"s", b"c", ORDER).secrets is None
    peer.ok(sealed="AQ==", version=5, secrets="Bg==", factor_ids=["f"])
    bound = client.bind_factor(b"s", order=ORDER)
    assert (bound.secrets, bound.factor_ids) == (b"\6", ("f",))
    assert client.drop_factor(b"s", ORDER).version == 5
    peer.ok(challenge="AQ==", digest="Ag==", verification_code="0042")
    asked = client.challenge(ChallengeRequest("c", "a", "p", "sha256", (b"h",), 1, "text", 9))
    assert (asked.token, asked.digest, asked.verification_code) == (b"\1", b"\2", "0042")
    used = {"totp_factor_id": "t", "totp_step": 4, "evidence_statement": "Aw=="}
    peer.ok(sad="AQ==", expires_at_ms=7, evidence_digest="Ag==", **used)
    assert client.activate(b"s", b"c", []).totp_step == 4
    both = {"sads": ["AQ==", "Ag=="], "challenges": [{"nonce": "00"}, {"nonce": "11"}]}
    peer.ok(**both, expires_at_ms=7, evidence_digest="Ag==", **used)
    assert [(one.sad, one.added) for one in client.activate_all(b"s", [b"c", b"d"], [])] == [
        (b"\1", {"nonce": "00"}),
        (b"\2", {"nonce": "11"}),
    ]
    shown = {"mode": "text", "message": "m", "verification_code": "0042", "certificate": "Aw=="}
    peer.ok(structure="AQ==", digest="Ag==", **shown)
    presented = client.present(b"s", b"c", "f", display_text="text", labels=("l",))
    assert (presented.structure, presented.digest, presented.certificate) == (b"\1", b"\2", b"\3")
    assert (presented.mode, presented.message, presented.verification_code) == (
        "text",
        "m",
        "0042",
    )
    peer.ok(certificate="AQ==")
    possession: SimPossession = {"format": "pkcs1", "value": "AA=="}
    assert client.certify_sim(b"key", possession, ORDER) == b"\1"
    peer.ok(signatures=["AQ==", "Ag=="], node="node-1")
    signed = client.sign(SignRequest(b"s", b"sad", "a", "p", (b"h",), "1.2", None, b"params"))
    assert (signed.signatures, signed.node) == ((b"\1", b"\2"), "node-1")
    peer.ok(number=8)
    assert client.destroy(b"s", ORDER) == 8
    assert client.merge_revocations(b"ids", b"head") == 8
    peer.ok(sealed="AQ==", version=6)
    assert client.unlock(b"s", ORDER).version == 6
    peer.ok(cluster_id="c", nodes=[], revocation_number=1, revocation_digest="00", chain=["AQ=="])
    assert client.status().chain == (b"\1",)
    assert [request["verb"] for request in peer.requests] == [
        "create_credential",
        "certify",
        "install_certificate",
        "bind_factor",
        "drop_factor",
        "challenge",
        "activate",
        "activate_all",
        "present",
        "certify_sim",
        "sign",
        "destroy",
        "merge_revocations",
        "unlock",
        "status",
    ]
    assert peer.connections == 1


def test_choices_of_a_pin_are_sent_and_read(peer: Peer, client: SapClient) -> None:
    answer = {"sealed": "AQ==", "version": 5, "factor_ids": ["f"]}
    peer.ok(**answer, totp_factor_id="t", totp_step=4)
    changed = client.change_pin(b"s", "f", "73519482", [])
    assert (changed.factor_ids, changed.code) == (("f",), TotpUse("t", 4))
    peer.ok(**answer, totp_factor_id=None, totp_step=None)
    chosen = client.choose_pin(b"s", ORDER, "73519482", [])
    assert (chosen.sealed, chosen.version, chosen.secrets) == (b"\1", 5, None)
    assert chosen.code is None
    peer.ok(number=8)
    assert client.retire_pin(b"s") == 8
    verbs = [request["verb"] for request in peer.requests]
    assert verbs == ["change_pin", "choose_pin", "retire_pin"]
    assert peer.requests[0]["args"] == {
        "sealed": "cw==",
        "factor_id": "f",
        "new_pin": "73519482",
        "evidence": [],
    }


def test_what_removes_a_passkey_is_asked_in_two_steps(peer: Peer, client: SapClient) -> None:
    used: dict[str, Any] = {"totp_factor_id": "t", "totp_step": 4}
    peer.ok(**used)
    assert client.check_drop(b"s", b"k", []) == TotpUse("t", 4)
    peer.ok(sealed="AQ==", version=5, **used)
    assert client.drop_passkey(b"s", b"k", []) == Resealed(b"\1", 5, code=TotpUse("t", 4))
    assert [request["verb"] for request in peer.requests] == ["check_drop", "drop_passkey"]
    assert peer.requests[0]["args"] == peer.requests[1]["args"]


def test_error_of_the_sam_arrives_as_the_same_fact(peer: Peer, client: SapClient) -> None:
    error = {"name": "EvidenceInvalid", "public": {"attempts_left": 2}}
    peer.reply = lambda request: encode_line({"id": request["id"], "error": error})
    with pytest.raises(EvidenceInvalid) as refusal:
        client.activate(b"s", b"c", [])
    assert refusal.value.public == {"attempts_left": 2}


def test_connection_that_died_in_the_pool_is_replaced_once(peer: Peer, client: SapClient) -> None:
    peer.ok(number=1)
    client.merge_revocations(b"", b"")
    answers = iter([None, encode_line({"id": 2, "ok": {"number": 2}})])
    peer.reply = lambda _: next(answers)
    assert client.merge_revocations(b"", b"") == 2
    assert peer.connections == 2


def test_fresh_connection_that_dies_is_an_unavailable_sam(peer: Peer, client: SapClient) -> None:
    peer.reply = lambda _: None
    with pytest.raises(SamUnavailable):
        client.merge_revocations(b"", b"")
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b'{"id":77,"ok":{"number":1}}\n',
        b"not json\n",
        b"[]\n",
        b'{"id":1,"id":1,"ok":{}}\n',
        b"x" * (4 * 1024 * 1024 + 300_000),
    ],
)
def test_answer_that_is_none_is_an_unavailable_sam(
    peer: Peer, client: SapClient, answer: bytes
) -> None:
    peer.reply = lambda _: answer
    with pytest.raises(SamUnavailable):
        client.merge_revocations(b"", b"")


def test_silence_ends_at_the_deadline(peer: Peer) -> None:
    peer.reply = lambda _: b""
    with pytest.raises(SamUnavailable):
        SapClient(peer.address, timeout=0.2).status()


def test_nobody_listening_is_told_apart_from_no_answer(tmp_path: Path, peer: Peer) -> None:
    peer.reply = lambda _: b""
    with pytest.raises(SamUnavailable) as silent:
        SapClient(peer.address, timeout=0.2).status()
    assert not isinstance(silent.value, SamUnreachable)
    with pytest.raises(SamUnreachable):
        SapClient(UnixAddress(tmp_path / "nothing.sock"), timeout=0.2).status()


def test_base64_of_the_wire_is_strict() -> None:
    assert unb64(b64(b"\0\xff"), "x") == b"\0\xff"
    for wrong in ("A", "A-_=", "AA==\n", "AA", 5, None):
        with pytest.raises(InvalidInput):
            unb64(wrong, "x")


def test_evidence_of_a_sim_carries_its_signature_in_base64() -> None:
    sim: SimEvidence = {
        "format": "cms",
        "display_text": "t",
        "labels": ["l"],
        "ocsp": [],
        "crls": [],
    }
    evidence = sim_evidence("f", b"\1", sim)
    assert evidence == {"factor_id": "f", "kind": "sim", "value": "AQ==", "sim": sim}


def test_list_longer_than_a_frame_goes_in_pieces_and_its_head_with_the_last(
    peer: Peer, client: SapClient
) -> None:
    peer.ok(number=8)
    ids = bytes(range(256)) * 4096 * 5
    assert client.merge_revocations(ids, b"head") == 8
    sent = [cast("dict[str, Any]", request["args"]) for request in peer.requests]
    assert b"".join(unb64(each["ids"], "ids") for each in sent) == ids
    places = [sum(len(unb64(each["ids"], "")) for each in sent[:index]) for index in range(5)]
    assert [each["at"] for each in sent] == places
    assert [each["head"] for each in sent] == [None] * 4 + [b64(b"head")]
    assert max(len(encode_line(request)) for request in peer.requests) < MAX_LINE


def test_verb_that_changes_a_credential_is_waited_for_longer(peer: Peer) -> None:
    peer.reply = lambda _: b""
    client = SapClient(peer.address, timeout=0.1, enrolment_timeout=0.6)
    for call, least in ((client.status, 0.1), (lambda: client.unlock(b"s", ORDER), 0.6)):
        start = time.monotonic()
        with pytest.raises(SamUnavailable):
            call()
        assert least <= time.monotonic() - start < least + 0.4


def test_long_request_is_waited_for_longer(peer: Peer) -> None:
    peer.reply = lambda _: b""
    client = SapClient(peer.address, timeout=0.05)
    start = time.monotonic()
    with pytest.raises(SamUnavailable):
        client.activate(bytes(3 * 1024), b"", [])
    assert time.monotonic() - start > 0.8


def test_client_waits_longer_than_the_supervisor_may_take() -> None:
    deadlines, defaults = Deadlines(), inspect.signature(SapClient).parameters
    for name, deadline in (
        ("timeout", deadlines.activation),
        ("enrolment_timeout", deadlines.enrolment),
    ):
        assert defaults[name].default > 2 * (deadlines.wait + deadline)
