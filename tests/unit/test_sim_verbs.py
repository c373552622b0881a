"""The verbs with a SIM as a factor: asked, checked, pinned, certified, dropped."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from remote_signing import errors
from remote_signing.identifiers import new_id
from remote_signing.sam.config import SimAnchorConfig, SimConfig
from remote_signing.sam.consent_structure import possession
from remote_signing.sap import b64
from tests.support.sim_card import NOW, SIGNER, Issuer, SimCard
from tests.support.verbs import DIGESTS, Sam, challenge, sign, unb64

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = Issuer()
TEXT = "Bộ Nội vụ: ký 3 quyết định"
LABELS = ["12/QĐ-BNV", "13/QĐ-BNV", ""]


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return configured(tmp_path)


def configured(folder: Path, **changes: Any) -> Sam:
    file = folder / "sim-ca.pem"
    file.write_bytes(ISSUER.certificate.public_bytes(serialization.Encoding.PEM))
    terms: Any = {"certificate": file, **changes}
    anchor = SimAnchorConfig(**terms)
    config = SimConfig(service_id="ky-so.example", anchors=(anchor,), embedded_authority=True)
    return Sam(folder, sim=config)


@dataclass(frozen=True)
class Official:
    """Somebody with a SIM and, where enrolled, PIN and code."""

    credential_id: str
    sealed: str
    public_key: bytes
    card: SimCard
    sim_id: str
    pin: tuple[str, str] | None = None

    def evidence(self, signature: bytes, form: str = "ecdsa_der", **changes: Any) -> dict[str, Any]:
        sim = {
            "format": form,
            "display_text": TEXT,
            "labels": LABELS,
            "ocsp": [b64(ISSUER.ocsp(self.card.certificate))],
            "crls": [],
            **changes,
        }
        return {"factor_id": self.sim_id, "kind": "sim", "value": b64(signature), "sim": sim}


def described(card: SimCard, sim_id: str, mode: str = "structure", **changes: Any) -> Any:
    members = {"certificate": b64(card.der), "chain": [], "mode": mode}
    return {"id": sim_id, "kind": "sim", **members, **changes}


def enrol(
    sam: Sam,
    *,
    mode: str = "structure",
    card: SimCard | None = None,
    pin: bool = False,
    **more: Any,
) -> Official:
    card = card or SimCard(ISSUER)
    credential_id, sim_id, pin_id = (new_id(sam.clock.now_ms()) for _ in range(3))
    factors = [described(card, sim_id, mode)] + ([{"id": pin_id, "kind": "pin"}] if pin else [])
    members = {"owner": "o", "algorithm": "p256", "scal": "2", "multisign": 10, **more}
    order = sam.order("create_credential", credential_id, factors=factors, **members)
    made = sam.call("create_credential", order=order)
    secrets = sam.ra.open(unb64(made["secrets"]), credential_id)
    known = (pin_id, secrets["pins"][pin_id]) if pin else None
    sealed, public_key = cast("str", made["sealed"]), unb64(made["public_key"])
    return Official(credential_id, sealed, public_key, card, sim_id, known)


@pytest.fixture
def official(sam: Sam) -> Official:
    return enrol(sam)


def ask(sam: Sam, official: Official, **changes: Any) -> dict[str, object]:
    asked: Any = official
    return challenge(sam, asked, **changes)


def present(
    sam: Sam, official: Official, asked: dict[str, object], **changes: Any
) -> dict[str, Any]:
    arguments = {
        "sealed": official.sealed,
        "challenge": asked["challenge"],
        "factor_id": official.sim_id,
        "display_text": TEXT,
        "labels": LABELS,
        **changes,
    }
    return sam.call("present", **arguments)


def activate(
    sam: Sam, official: Official, asked: dict[str, object], *evidence: object
) -> dict[str, Any]:
    return sam.call(
        "activate",
        sealed=official.sealed,
        challenge=asked["challenge"],
        evidence=list(evidence),
    )


def consent(sam: Sam, official: Official, asked: dict[str, object]) -> dict[str, Any]:
    structure = unb64(present(sam, official, asked)["structure"])
    return activate(sam, official, asked, official.evidence(official.card.sign(structure)))


def use(sam: Sam, official: Official, asked: dict[str, object], sad: object) -> int:
    known: Any = official
    return len(sign(sam, known, asked, cast("str", sad)))


# A consent


def test_sim_alone_consents_and_exactly_its_hashes_are_signed(sam: Sam, official: Official) -> None:
    asked = ask(sam, official)
    assert use(sam, official, asked, consent(sam, official, asked)["sad"]) == len(DIGESTS)


@pytest.mark.parametrize("mode", ["structure", "digest", "text"])
@pytest.mark.parametrize("form", ["cms", "ecdsa_raw"])
def test_each_mode_of_a_sim_consents_and_is_told_apart(sam: Sam, mode: str, form: str) -> None:
    official = enrol(sam, mode=mode)
    asked = ask(sam, official)
    shown = present(sam, official, asked)
    structure, digest = unb64(shown["structure"]), unb64(shown["digest"])
    assert hashlib.sha256(structure).digest() == digest
    assert shown["mode"] == mode
    signed = shown["message"].encode() if mode == "text" else structure
    if form == "cms":
        content = digest if mode == "digest" else signed
        evidence = official.evidence(official.card.cms(content), "cms")
    else:
        evidence = official.evidence(official.card.sign_raw(signed), form)
    statement = json.loads(unb64(activate(sam, official, asked, evidence)["evidence_statement"]))
    (_, _, record) = statement[1][0]
    expected = {
        "structure": "shown_by_operator" if form == "cms" else "shown_by_card",
        "digest": "shown_by_operator",
        "text": "weaker",
    }
    assert (record["mode"], record["assurance"]) == (mode, expected[mode])


def test_evidence_statement_tells_how_the_sim_consented(sam: Sam, official: Official) -> None:
    asked = ask(sam, official)
    shown = present(sam, official, asked)
    signature = official.card.sign(unb64(shown["structure"]))
    answer = activate(sam, official, asked, official.evidence(signature))
    statement = unb64(answer["evidence_statement"])
    assert hashlib.sha256(statement).digest() == unb64(answer["evidence_digest"])
    assert json.loads(statement) == [
        unb64(asked["digest"]).hex(),
        [
            [
                official.sim_id,
                "sim",
                {
                    "mode": "structure",
                    "assurance": "shown_by_card",
                    "format": "ecdsa_der",
                    "structure_sha256": unb64(shown["digest"]).hex(),
                    "signature_sha256": hashlib.sha256(signature).hexdigest(),
                    "certificate_sha256": hashlib.sha256(official.card.der).hexdigest(),
                    "status": {
                        "source": "ocsp",
                        "within_time": True,
                        "this_update_ms": int(NOW.timestamp() * 1000),
                    },
                },
            ]
        ],
        None,
    ]


def test_what_is_presented_is_the_same_each_time(sam: Sam, official: Official) -> None:
    asked = ask(sam, official)
    first = present(sam, official, asked)
    sam.clock.advance(60)
    assert present(sam, official, asked) == first
    assert first["verification_code"] == asked["verification_code"]
    assert unb64(first["certificate"]) == official.card.der
    assert first["message"] == TEXT
    assert present(sam, official, ask(sam, official))["structure"] != first["structure"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"factor_id": "x"}, errors.EvidenceInsufficient),
        ({"factor_id": None}, errors.InvalidInput),
        ({"display_text": ""}, errors.InvalidInput),
        ({"display_text": "x" * 240}, errors.InvalidInput),
        ({"labels": []}, errors.InvalidInput),
        ({"labels": "x"}, errors.InvalidInput),
        ({"labels": [1, 2, 3]}, errors.InvalidInput),
        ({"labels": ["x"] * 1001}, errors.InvalidInput),
        ({"challenge": "AAAA"}, errors.ChallengeInvalid),
    ],
)
def test_nothing_is_presented_that_a_sim_could_not_sign(
    sam: Sam, official: Official, changes: dict[str, Any], error: type[Exception]
) -> None:
    asked = ask(sam, official)
    with pytest.raises(error):
        present(sam, official, asked, **changes)


def test_sim_is_asked_only_about_its_own_credential_and_in_time(
    sam: Sam, official: Official
) -> None:
    with pytest.raises(errors.ChallengeInvalid):
        present(sam, official, ask(sam, enrol(sam)))
    asked = ask(sam, official)
    sam.clock.advance(301)
    with pytest.raises(errors.ChallengeExpired):
        present(sam, official, asked)
    long = ask(sam, official, expires_at_ms=sam.clock.now_ms() + 31 * 60_000)
    with pytest.raises(errors.ChallengeInvalid):
        present(sam, official, long)


# Not this consent


def test_signature_for_another_activation_credential_or_text_is_refused(
    sam: Sam, official: Official
) -> None:
    asked, other = ask(sam, official), ask(sam, official)
    twin = enrol(sam, card=official.card)
    theirs = ask(sam, twin)
    sign_it = official.card.sign
    attempts: list[tuple[bytes, dict[str, Any]]] = [
        (sign_it(unb64(present(sam, official, other)["structure"])), {}),
        (sign_it(unb64(present(sam, twin, theirs)["structure"])), {}),
        (sign_it(unb64(present(sam, official, asked)["structure"])), {"display_text": "Khác"}),
        (sign_it(unb64(present(sam, official, asked)["structure"])), {"labels": ["", "", ""]}),
        (SimCard(ISSUER).sign(unb64(present(sam, official, asked)["structure"])), {}),
        (b"", {}),
    ]
    for signature, changes in attempts:
        with pytest.raises(errors.EvidenceInvalid):
            activate(sam, official, asked, official.evidence(signature, **changes))
    assert consent(sam, official, asked)


def test_sim_signature_authorises_its_own_activation_and_no_other(
    sam: Sam, official: Official
) -> None:
    asked = ask(sam, official)
    evidence = official.evidence(
        official.card.sign(unb64(present(sam, official, asked)["structure"]))
    )
    first = activate(sam, official, asked, evidence)
    same_again = ask(sam, official, activation_id=asked["activation_id"])
    with pytest.raises(errors.EvidenceInvalid):
        activate(sam, official, same_again, evidence)
    with pytest.raises(errors.SadInvalid):
        use(sam, official, ask(sam, official), first["sad"])
    repeated = activate(sam, official, asked, evidence)
    assert use(sam, official, asked, repeated["sad"]) == len(DIGESTS), "the same, and no more"
    sam.clock.advance(301)
    with pytest.raises(errors.ChallengeExpired):
        activate(sam, official, asked, evidence)


def test_certificate_that_is_revoked_or_expired_no_longer_consents(sam: Sam) -> None:
    official = enrol(sam)
    asked = ask(sam, official)
    structure = unb64(present(sam, official, asked)["structure"])
    signature = official.card.sign(structure)
    listed = b64(ISSUER.crl(official.card.certificate))
    refused: list[dict[str, Any]] = [{"crls": [listed]}, {"ocsp": []}, {"ocsp": [b64(b"x")]}]
    for changes in refused:
        with pytest.raises(errors.EvidenceInvalid):
            activate(sam, official, asked, official.evidence(signature, **changes))
    assert activate(sam, official, asked, official.evidence(signature, crls=[b64(ISSUER.crl())]))
    sam.clock.advance(366 * 86_400)
    with pytest.raises(errors.EvidenceInvalid):
        consent(sam, official, ask(sam, official))


def test_status_that_ran_out_is_accepted_for_as_long_as_configured_and_told(
    tmp_path: Path,
) -> None:
    sam = configured(tmp_path, revocation="allow_for", allow_for_seconds=3600)
    official = enrol(sam)
    sam.clock.advance(86_400 + 1800)
    answer = consent(sam, official, ask(sam, official))
    (record,) = [factor[2] for factor in json.loads(unb64(answer["evidence_statement"]))[1]]
    assert record["status"]["within_time"] is False
    sam.clock.advance(3600)
    with pytest.raises(errors.EvidenceInvalid):
        consent(sam, official, ask(sam, official))


# What is enough


@pytest.mark.parametrize(
    ("rule", "is_enough"),
    [(None, True), ([["pin", "sim"]], False), ([["pin", "sim"], ["sim"]], True)],
)
def test_whoever_asks_is_told_whether_the_sim_is_enough_by_itself(
    sam: Sam, rule: list[list[str]] | None, *, is_enough: bool
) -> None:
    official = enrol(sam, pin=True) if rule is None else enrol(sam, pin=True, consent=rule)
    assert present(sam, official, ask(sam, official))["is_enough"] is is_enough


def test_rubbish_from_a_stranger_locks_nobody(sam: Sam) -> None:
    official = enrol(sam, pin=True, consent=[["pin", "sim"]])
    asked = ask(sam, official)
    assert official.pin is not None
    pin = {"factor_id": official.pin[0], "kind": "pin", "value": "00000000"}
    before = sam.journal.remaining(official.credential_id)
    for number in range(50):
        rubbish = official.evidence(bytes([number]) * 64)
        with pytest.raises(errors.EvidenceInvalid):
            activate(sam, official, asked, rubbish, pin)
    assert sam.journal.remaining(official.credential_id) == before


def test_pin_is_guessed_only_beside_a_good_signature_and_then_counted(sam: Sam) -> None:
    official = enrol(sam, pin=True, consent=[["pin", "sim"]])
    assert official.pin is not None
    asked = ask(sam, official)
    signature = official.card.sign(unb64(present(sam, official, asked)["structure"]))
    sim = official.evidence(signature)
    wrong = {"factor_id": official.pin[0], "kind": "pin", "value": "00000000"}
    right = wrong | {"value": official.pin[1]}
    with pytest.raises(errors.EvidenceInvalid) as refused:
        activate(sam, official, asked, sim, wrong)
    assert refused.value.public == {"attempts_left": 2}
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, official, asked, sim)
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, official, asked, right)
    assert activate(sam, official, asked, right, sim)
    assert sam.journal.remaining(official.credential_id) == 3


def test_consent_by_sim_forgives_no_wrong_guess_of_the_pin(sam: Sam) -> None:
    official = enrol(sam, pin=True, consent=[["sim"], ["pin", "sim"]])
    assert official.pin is not None
    asked = ask(sam, official)
    signature = official.card.sign(unb64(present(sam, official, asked)["structure"]))
    wrong = {"factor_id": official.pin[0], "kind": "pin", "value": "00000000"}
    with pytest.raises(errors.EvidenceInvalid):
        activate(sam, official, asked, official.evidence(signature), wrong)
    assert activate(sam, official, asked, official.evidence(signature))
    assert sam.journal.remaining(official.credential_id) == 2


def test_pin_alone_is_never_enough_because_another_factor_is_missing(sam: Sam) -> None:
    official = enrol(sam, pin=True)
    assert official.pin is not None
    pin = {"factor_id": official.pin[0], "kind": "pin", "value": official.pin[1]}
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, official, ask(sam, official), pin)
    order = sam.order("drop_factor", official.credential_id, factor_id=official.sim_id)
    dropped = sam.call("drop_factor", sealed=official.sealed, order=order)
    rest = replace(official, sealed=cast("str", dropped["sealed"]))
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, rest, ask(sam, rest), pin)


def test_two_sims_are_one_kind(sam: Sam, official: Official) -> None:
    second = new_id(sam.clock.now_ms())
    factors = [described(official.card, second)]
    order = sam.order("bind_factor", official.credential_id, factors=factors, if_version=1)
    bound = sam.call("bind_factor", sealed=official.sealed, order=order)
    both = replace(official, sealed=cast("str", bound["sealed"]))
    asked = ask(sam, both)
    signature = both.card.sign(unb64(present(sam, both, asked)["structure"]))
    one, other = both.evidence(signature), replace(both, sim_id=second).evidence(signature)
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, both, asked, one, other)
    assert activate(sam, both, asked, other)


def test_rule_of_consent_can_be_made_stricter_and_never_weaker(sam: Sam) -> None:
    official = enrol(sam, pin=True)
    rules: tuple[Any, ...] = (
        [],
        "sim",
        ["sim"],
        [["pin"]],
        [["totp"], ["sim"]],
        [[]],
        [["sim", "sim"]],
        [["sim", "sms"]],
        [[7]],
        [["sim"]] * 5,
    )
    for rule in rules:
        with pytest.raises(errors.OrderInvalid):
            enrol(sam, consent=rule)
    factors = [{"id": new_id(sam.clock.now_ms()), "kind": "totp"}]
    order = sam.order(
        "bind_factor",
        official.credential_id,
        factors=factors,
        if_version=1,
        consent=[["pin", "sim"], ["pin", "totp"]],
    )
    bound = sam.call("bind_factor", sealed=official.sealed, order=order)
    stricter = replace(official, sealed=cast("str", bound["sealed"]))
    with pytest.raises(errors.EvidenceInsufficient):
        consent(sam, stricter, ask(sam, stricter))


def test_sim_does_not_change_a_pin(sam: Sam) -> None:
    official = enrol(sam, pin=True)
    assert official.pin is not None
    known = {"factor_id": official.pin[0], "kind": "pin", "value": official.pin[1]}
    for evidence in ([official.evidence(b"x")], [known, official.evidence(b"x")]):
        with pytest.raises(errors.EvidenceInsufficient):
            sam.call(
                "change_pin",
                sealed=official.sealed,
                new_pin="73519482",
                factor_id=new_id(sam.clock.now_ms()),
                evidence=evidence,
            )


# Evidence that is no evidence


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "xml"},
        {"format": 7},
        {"display_text": 7},
        {"display_text": "x" * 240},
        {"labels": "x"},
        {"labels": [7]},
        {"labels": ["x"] * 1001},
        {"ocsp": "x"},
        {"ocsp": ["!"]},
        {"ocsp": [b64(b"x")] * 5},
        {"ocsp": [b64(bytes(16 * 1024 + 1))]},
        {"crls": [b64(b"x")] * 3},
        {"crls": [b64(bytes(1024 * 1024 + 1))]},
        {"more": 1},
    ],
)
def test_evidence_beyond_its_bounds_is_bad_input(
    sam: Sam, official: Official, changes: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidInput):
        activate(sam, official, ask(sam, official), official.evidence(b"x", **changes))


def test_evidence_of_another_shape_is_bad_input(sam: Sam, official: Official) -> None:
    asked = ask(sam, official)
    good = official.evidence(b"x")
    for item in (
        {key: value for key, value in good.items() if key != "sim"},
        good | {"sim": None},
        good | {"sim": []},
        good | {"value": b64(bytes(17 * 1024))},
        good | {"value": b64(bytes(40 * 1024))},
        good | {"value": "!"},
        good | {"kind": "pin"},
        good | {"kind": "passkey"},
    ):
        with pytest.raises((errors.InvalidInput, errors.EvidenceInsufficient)):
            activate(sam, official, asked, item)


# Removed


def test_record_from_before_a_sim_was_dropped_does_not_bring_it_back(
    sam: Sam, official: Official
) -> None:
    asked = ask(sam, official)
    structure = unb64(present(sam, official, asked)["structure"])
    evidence = official.evidence(official.card.sign(structure))
    order = sam.order("drop_factor", official.credential_id, factor_id=official.sim_id)
    sam.call("drop_factor", sealed=official.sealed, order=order)
    with pytest.raises(errors.FactorRevoked):
        activate(sam, official, asked, evidence)
    with pytest.raises(errors.FactorRevoked):
        present(sam, official, asked)


def test_replaced_sim_is_a_new_factor_and_the_old_one_stays_gone(
    sam: Sam, official: Official
) -> None:
    order = sam.order("drop_factor", official.credential_id, factor_id=official.sim_id)
    dropped = sam.call("drop_factor", sealed=official.sealed, order=order)
    for sim_id, accepted in ((official.sim_id, False), (new_id(sam.clock.now_ms()), True)):
        card = SimCard(ISSUER)
        order = sam.order(
            "bind_factor",
            official.credential_id,
            factors=[described(card, sim_id)],
            if_version=2,
        )
        if not accepted:
            with pytest.raises(errors.OrderInvalid):
                sam.call("bind_factor", sealed=dropped["sealed"], order=order)
            continue
        bound = sam.call("bind_factor", sealed=dropped["sealed"], order=order)
        renewed = replace(official, sealed=cast("str", bound["sealed"]), card=card, sim_id=sim_id)
        assert consent(sam, renewed, ask(sam, renewed))


# Pinned


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "blind"},
        {"mode": None},
        {"certificate": None},
        {"certificate": "!"},
        {"certificate": b64(b"x")},
        {"certificate": b64(bytes(8 * 1024 + 1))},
        {"certificate": b64(SimCard(Issuer("Người lạ")).der)},
        {"certificate": b64(ISSUER.der)},
        {"chain": None},
        {"chain": [b64(ISSUER.der)] * 4},
        {"chain": ["!"]},
    ],
)
def test_sim_that_could_never_consent_is_not_pinned(sam: Sam, changes: dict[str, Any]) -> None:
    credential_id = new_id(sam.clock.now_ms())
    factor = described(SimCard(ISSUER), new_id(sam.clock.now_ms()), **changes)
    members = {"owner": "o", "algorithm": "p256", "scal": "2", "multisign": 1}
    order = sam.order("create_credential", credential_id, factors=[factor], **members)
    with pytest.raises(errors.OrderInvalid):
        sam.call("create_credential", order=order)


def test_sam_without_configuration_for_sims_takes_none(
    sam: Sam, official: Official, tmp_path: Path
) -> None:
    other = Sam(tmp_path, node=sam.node, clock=sam.clock, ra=sam.ra)
    with pytest.raises(errors.OrderInvalid):
        enrol(other)
    asked = ask(sam, official)
    with pytest.raises(errors.EvidenceInsufficient):
        activate(other, official, asked, official.evidence(b"x"))


def test_sealed_record_with_a_sim_refuses_every_changed_bit(sam: Sam, official: Official) -> None:
    sealed = unb64(official.sealed)
    chance = random.Random("sealed")  # noqa: S311 - the same bits in every run
    asked = ask(sam, official)
    for bit in chance.sample(range(len(sealed) * 8), 100):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((errors.SealBroken, errors.ChallengeInvalid)):
            present(sam, replace(official, sealed=b64(bytes(changed))), asked)


# Certified by its own proof


def certify(
    sam: Sam, card: SimCard, *, credential_id: str = "", **changes: Any
) -> x509.Certificate:
    credential_id = credential_id or new_id(sam.clock.now_ms())
    nonce = hashlib.sha256(b"nonce").digest()
    proof = card.sign(possession(credential_id, nonce, card.public_key))
    is_rsa = isinstance(card.key, rsa.RSAPrivateKey)
    arguments: dict[str, Any] = {
        "public_key": b64(card.public_key),
        "possession": {"format": "pkcs1" if is_rsa else "ecdsa_der", "value": b64(proof)},
    }
    members: dict[str, Any] = {
        "profile": "sim",
        "subject": {
            "common_name": "Nguyễn Văn An",
            "organization": "Bộ Nội vụ",
            "serial_number": "01mcc5rm00ptkspa6cztggafdc",
        },
        "validity_days": 365,
        "public_key_sha256": hashlib.sha256(card.public_key).hexdigest(),
        "possession_nonce": nonce.hex(),
    }
    for name, value in changes.items():
        (arguments if name in arguments else members)[name] = value
    order = sam.order("certify_sim", credential_id, **members)
    answer = sam.call("certify_sim", **arguments, order=order)
    return x509.load_der_x509_certificate(unb64(answer["certificate"]))


def test_sim_certified_by_the_embedded_authority_consents_without_an_outside_one(sam: Sam) -> None:
    card = SimCard(ISSUER)
    card.certificate = certify(sam, card)
    usage = card.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage == SIGNER
    official = enrol(sam, card=card)
    asked = ask(sam, official)
    signature = card.sign(unb64(present(sam, official, asked)["structure"]))
    answer = activate(sam, official, asked, official.evidence(signature, ocsp=[]))
    (record,) = [factor[2] for factor in json.loads(unb64(answer["evidence_statement"]))[1]]
    assert record["status"] == {"source": "own_list"}
    assert use(sam, official, asked, answer["sad"]) == len(DIGESTS)


def test_sim_with_rsa_is_certified_and_consents(sam: Sam) -> None:
    card = SimCard(ISSUER, rsa.generate_private_key(65537, 2048))
    card.certificate = certify(sam, card)
    official = enrol(sam, card=card)
    asked = ask(sam, official)
    signature = card.sign(unb64(present(sam, official, asked)["structure"]))
    assert activate(sam, official, asked, official.evidence(signature, "pkcs1", ocsp=[]))


def test_key_is_certified_only_when_its_sim_has_signed_for_it(sam: Sam) -> None:
    card, other = SimCard(ISSUER), SimCard(ISSUER)
    credential_id = new_id(sam.clock.now_ms())
    nonce = hashlib.sha256(b"nonce").digest()
    said = possession(credential_id, nonce, card.public_key)
    elsewhere = possession(new_id(1), nonce, card.public_key)
    older = possession(credential_id, bytes(32), card.public_key)
    for proof in (
        other.sign(said),
        card.sign(elsewhere),
        card.sign(older),
        card.sign(b""),
        b"",
    ):
        shown = {"format": "ecdsa_der", "value": b64(proof)}
        with pytest.raises(errors.OrderInvalid):
            certify(sam, card, credential_id=credential_id, possession=shown)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"profile": "official"}, errors.OrderInvalid),
        ({"public_key_sha256": "00"}, errors.OrderInvalid),
        ({"possession_nonce": "00"}, errors.OrderInvalid),
        ({"possession_nonce": "G" * 64}, errors.OrderInvalid),
        ({"possession_nonce": None}, errors.OrderInvalid),
        ({"possession": None}, errors.InvalidInput),
        ({"possession": {"format": "ecdsa_der"}}, errors.InvalidInput),
        ({"possession": {"format": "cms", "value": "AA=="}}, errors.InvalidInput),
        ({"possession": {"format": [], "value": "AA=="}}, errors.InvalidInput),
        ({"possession": {"format": "ecdsa_der", "value": "!"}}, errors.InvalidInput),
        ({"possession": {"format": "ecdsa_der", "value": b64(bytes(1025))}}, errors.InvalidInput),
        ({"subject": None}, errors.OrderInvalid),
    ],
)
def test_order_for_a_sims_certificate_with_a_flaw_is_refused(
    sam: Sam, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        certify(sam, SimCard(ISSUER), **changes)


def test_key_that_no_sim_should_have_is_not_certified(sam: Sam) -> None:
    with pytest.raises(errors.InvalidInput):
        certify(sam, SimCard(ISSUER, ec.generate_private_key(ec.SECP256K1())))


def test_order_for_a_credential_key_does_not_certify_a_sim_and_the_other_way(sam: Sam) -> None:
    official = enrol(sam)
    order = sam.order("certify", official.credential_id, profile="sim", validity_days=1)
    with pytest.raises(errors.OrderInvalid):
        sam.call("certify_sim", public_key="", possession=None, order=order)
    order = sam.order(
        "certify",
        official.credential_id,
        profile="sim",
        subject={"common_name": "A", "serial_number": "1"},
        validity_days=1,
        public_key_sha256=hashlib.sha256(official.public_key).hexdigest(),
    )
    with pytest.raises(errors.OrderInvalid):
        sam.call("certify", sealed=official.sealed, order=order)


# What was sealed before there were SIMs


def test_record_from_before_there_was_a_choice_keeps_the_usual_rule(sam: Sam) -> None:
    official = enrol(sam, pin=True, consent=[["pin", "sim"]])
    sealed = unb64(official.sealed)
    header = sealed[:34]
    members = json.loads(sam.node.unseal(b"credential", sealed[34:], header))
    del members["consent"]
    older = header + sam.node.seal(b"credential", json.dumps(members).encode(), header)
    old = replace(official, sealed=b64(older))
    assert consent(sam, old, ask(sam, old))
    assert old.pin is not None
    pin = {"factor_id": old.pin[0], "kind": "pin", "value": old.pin[1]}
    with pytest.raises(errors.EvidenceInsufficient):
        activate(sam, old, ask(sam, old), pin)


def test_challenge_from_before_there_were_sims_is_never_put_to_one(
    sam: Sam, official: Official
) -> None:
    asked = ask(sam, official)
    members = json.loads(sam.node.unseal(b"challenge", unb64(asked["challenge"]), b""))
    del members["not_before_ms"]
    older = b64(sam.node.seal(b"challenge", json.dumps(members).encode(), b""))
    with pytest.raises(errors.ChallengeInvalid):
        present(sam, official, asked | {"challenge": older})
