"""Certificates on SIMs: the chain, what they are for, when, and whether they still stand."""

from __future__ import annotations

import datetime as dt
import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from remote_signing.errors import InvalidInput
from remote_signing.sam.config import SimAnchorConfig, SimConfig
from remote_signing.sam.sim_status import statements
from remote_signing.sam.sim_trust import Anchor, SimTrust, Untrusted, check_status
from tests.support.sim_card import (
    AUTHORITY,
    CRL_URL,
    DAY,
    NOW,
    SIGNER,
    Issuer,
    SimCard,
    key_usage,
)
from tests.unit.test_sim_signature import mutated

if TYPE_CHECKING:
    from pathlib import Path

FUZZ = int(os.environ.get("REMOTE_SIGNING_FUZZ", "300"))
ROOT = Issuer("Gốc")
SUB = Issuer("Cấp phát", ROOT)
CARD = SimCard(SUB)
GOOD, REVOKED, UNKNOWN = (
    ocsp.OCSPCertStatus.GOOD,
    ocsp.OCSPCertStatus.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN,
)
HOUR = dt.timedelta(hours=1)


def trust(
    *issuers: Issuer, revocation: Any = "require", usage: str = "content_commitment", grace: int = 0
) -> SimTrust:
    anchors = [
        Anchor(issuer.certificate, revocation, dt.timedelta(seconds=grace))
        for issuer in issuers or (ROOT,)
    ]
    return SimTrust(anchors, usage)


def status(
    *, responses: list[bytes] | None = None, crls: list[bytes] | None = None, **terms: Any
) -> dict[str, Any]:
    path = trust(SUB, **terms).path(CARD.der, [], NOW)
    return check_status(path, responses or [], crls or [], NOW)


def made(issuer: Issuer = SUB, **changes: Any) -> bytes:
    certificate = issuer.issue(CARD.key, **changes)
    return certificate.public_bytes(serialization.Encoding.DER)


# The chain


def test_chain_to_a_configured_anchor_is_believed() -> None:
    path = trust().path(CARD.der, [SUB.der], NOW)
    assert path.issuer == SUB.certificate
    assert path.known == {CARD.der, SUB.der, ROOT.der}
    direct = trust(SUB).path(CARD.der, [], NOW)
    assert direct.issuer == SUB.certificate
    assert trust(Issuer("Khác"), ROOT).path(CARD.der, [SUB.der], NOW).anchor.certificate == (
        ROOT.certificate
    )


def test_chain_that_does_not_hold_is_refused() -> None:
    namesake = Issuer("Gốc")
    forged = SimCard(Issuer("Cấp phát", namesake))
    for anchors, certificate, chain in (
        ([ROOT], CARD.der, []),
        ([ROOT], CARD.der, [ROOT.der]),
        ([ROOT], CARD.der, [SUB.der, SUB.der]),
        ([ROOT], CARD.der, [SUB.der] * 4),
        ([ROOT], forged.der, [SUB.der]),
        ([ROOT], forged.der, [forged.issuer.der]),
        ([namesake], CARD.der, [SUB.der]),
        ([ROOT], b"", [SUB.der]),
        ([ROOT], CARD.der[:-1], [SUB.der]),
        ([ROOT], CARD.der, [b"x"]),
    ):
        with pytest.raises(Untrusted):
            trust(*anchors).path(certificate, chain, NOW)


def test_renewed_authority_of_the_same_name_is_found_among_the_anchors() -> None:
    older = Issuer("Gốc", key=rsa.generate_private_key(65537, 2048))
    for anchors in ((older, ROOT), (ROOT, older), (Issuer("Gốc"), ROOT)):
        assert trust(*anchors).path(CARD.der, [SUB.der], NOW).anchor.certificate == (
            ROOT.certificate
        )
    theirs = SimCard(older)
    assert trust(ROOT, older).path(theirs.der, [], NOW).issuer == older.certificate


def test_issuer_that_is_no_authority_is_refused() -> None:
    ca = x509.BasicConstraints(ca=True, path_length=None)
    for extensions in (
        (),
        ((x509.BasicConstraints(ca=False, path_length=None), True), (AUTHORITY, True)),
        ((ca, True), (key_usage(crl_sign=True), True)),
        ((ca, True), (AUTHORITY, True), (x509.InhibitAnyPolicy(0), True)),
    ):
        pretender = Issuer("Giả", ROOT, extensions=extensions)
        with pytest.raises(Untrusted):
            trust().path(SimCard(pretender).der, [pretender.der], NOW)
    plain = Issuer("Không ghi dùng làm gì", ROOT, extensions=((ca, True),))
    assert trust().path(SimCard(plain).der, [plain.der], NOW).known


def test_length_of_the_path_is_kept() -> None:
    no_below = ((x509.BasicConstraints(ca=True, path_length=0), True), (AUTHORITY, True))
    top = Issuer("Trên", ROOT, extensions=no_below)
    below = Issuer("Dưới", top)
    assert trust().path(SimCard(top).der, [top.der], NOW).known
    with pytest.raises(Untrusted):
        trust().path(SimCard(below).der, [below.der, top.der], NOW)


def test_certificate_outside_its_time_is_refused_anywhere_in_the_chain() -> None:
    old = Issuer("Cũ", ROOT, not_after=NOW - DAY)
    retired = Issuer("Gốc cũ", not_after=NOW - DAY)
    for anchors, certificate, chain in (
        ([ROOT], made(not_after=NOW - HOUR), [SUB.der]),
        ([ROOT], made(not_before=NOW + HOUR), [SUB.der]),
        ([ROOT], SimCard(old).der, [old.der]),
        ([retired], SimCard(retired).der, []),
    ):
        with pytest.raises(Untrusted):
            trust(*anchors).path(certificate, chain, NOW)


@pytest.mark.parametrize(
    ("usage", "policy", "accepted"),
    [
        (SIGNER, "content_commitment", True),
        (key_usage(digital_signature=True), "content_commitment", False),
        (key_usage(digital_signature=True), "digital_signature", True),
        (key_usage(digital_signature=True), "either", True),
        (key_usage(content_commitment=True), "digital_signature", False),
        (key_usage(content_commitment=True), "either", True),
        (key_usage(key_encipherment=True), "either", False),
    ],
)
def test_key_usage_is_as_the_policy_says(
    usage: x509.KeyUsage,
    policy: str,
    accepted: bool,  # noqa: FBT001 - parametrised
) -> None:
    certificate = made(extensions=((usage, True),))
    if accepted:
        assert trust(SUB, usage=policy).path(certificate, [], NOW).known
        return
    with pytest.raises(Untrusted):
        trust(SUB, usage=policy).path(certificate, [], NOW)


def test_certificate_that_no_signer_should_have_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    edwards: Any = ed25519.Ed25519PrivateKey.generate()
    for certificate in (
        made(extensions=()),
        made(extensions=((SIGNER, True), (x509.InhibitAnyPolicy(0), True))),
        made(extensions=((SIGNER, True), (x509.BasicConstraints(ca=True, path_length=None), True))),
        SUB.issue(weak).public_bytes(serialization.Encoding.DER),
        SUB.issue(edwards).public_bytes(serialization.Encoding.DER),
        made(digest=hashes.SHA224()),
    ):
        with pytest.raises(Untrusted):
            trust(SUB).path(certificate, [], NOW)


def test_anchors_come_from_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_bytes(ROOT.certificate.public_bytes(serialization.Encoding.PEM))
    terms: Any = {"certificate": file, "revocation": "allow_for", "allow_for_seconds": 60}
    config = SimConfig(
        service_id="ky-so.example", anchors=(SimAnchorConfig(**terms),), embedded_authority=True
    )
    found = SimTrust.from_config(config, SUB.certificate)
    path = found.path(CARD.der, [SUB.der], NOW)
    assert (path.anchor.revocation, path.anchor.grace) == ("allow_for", dt.timedelta(seconds=60))
    assert found.path(CARD.der, [], NOW).anchor.revocation == "own_list"
    strict: Any = terms | {"revocation": "require"}
    config = SimConfig(service_id="ky-so.example", anchors=(SimAnchorConfig(**strict),))
    found = SimTrust.from_config(config, SUB.certificate)
    assert found.path(CARD.der, [SUB.der], NOW).anchor.grace == dt.timedelta(0)
    with pytest.raises(Untrusted):
        found.path(CARD.der, [], NOW)
    file.write_bytes(b"rubbish")
    with pytest.raises(InvalidInput):
        SimTrust.from_config(config, SUB.certificate)
    file.unlink()
    with pytest.raises(InvalidInput):
        SimTrust.from_config(config, SUB.certificate)


# Whether it still stands


def test_good_status_of_the_issuer_is_believed_and_told() -> None:
    at = int(NOW.timestamp() * 1000)
    for by_key in (False, True):
        response = SUB.ocsp(CARD.certificate, by_key=by_key)
        assert status(responses=[response]) == {
            "source": "ocsp",
            "within_time": True,
            "this_update_ms": at,
        }
    assert status(crls=[SUB.crl()]) == {
        "source": "crl",
        "within_time": True,
        "this_update_ms": at,
    }


def test_good_status_of_an_issuer_with_rsa_is_believed() -> None:
    issuer = Issuer("RSA", key=rsa.generate_private_key(65537, 2048))
    card = SimCard(issuer)
    path = trust(issuer).path(card.der, [], NOW)
    for by_key in (False, True):
        response = issuer.ocsp(card.certificate, by_key=by_key)
        assert check_status(path, [response], [], NOW)["source"] == "ocsp"
    assert check_status(path, [], [issuer.crl()], NOW)["source"] == "crl"


def test_revoked_certificate_is_refused_on_any_terms_and_beside_any_good_status() -> None:
    good, bad = SUB.ocsp(CARD.certificate), SUB.ocsp(CARD.certificate, REVOKED)
    clean, listed = SUB.crl(), SUB.crl(CARD.certificate)
    old = SUB.crl(CARD.certificate, at=NOW - 30 * DAY, until=NOW - 29 * DAY)
    for terms in ("require", "allow_for", "off", "own_list"):
        for responses, crls in (
            ([bad], []),
            ([good, bad], []),
            ([], [listed]),
            ([], [clean, listed]),
            ([good], [listed]),
            ([bad], [clean]),
            ([good], [old]),
        ):
            with pytest.raises(Untrusted, match="revoked"):
                status(responses=responses, crls=crls, revocation=terms)


def test_without_a_status_only_those_terms_accept_that_say_so() -> None:
    for terms in ("require", "allow_for"):
        with pytest.raises(Untrusted, match="no status"):
            status(revocation=terms, grace=86_400 if terms == "allow_for" else 0)
    assert status(revocation="off") == {"source": "off"}
    assert status(revocation="own_list") == {"source": "own_list"}


def test_status_that_ran_out_counts_for_as_long_as_the_terms_say() -> None:
    old = SUB.ocsp(CARD.certificate, at=NOW - 2 * HOUR, until=NOW - HOUR)
    with pytest.raises(Untrusted):
        status(responses=[old])
    with pytest.raises(Untrusted):
        status(responses=[old], revocation="allow_for", grace=3599)
    allowed = status(responses=[old], revocation="allow_for", grace=3600)
    assert (allowed["source"], allowed["within_time"]) == ("ocsp", False)
    listed = SUB.crl(at=NOW - 2 * HOUR, until=NOW - HOUR)
    assert status(crls=[listed], revocation="allow_for", grace=3600)["within_time"] is False
    both = status(crls=[listed], responses=[SUB.ocsp(CARD.certificate)])
    assert (both["source"], both["within_time"]) == ("ocsp", True)


def test_status_without_an_end_counts_for_a_day() -> None:
    assert status(responses=[SUB.ocsp(CARD.certificate, at=NOW - 24 * HOUR, until=None)])
    with pytest.raises(Untrusted):
        status(responses=[SUB.ocsp(CARD.certificate, at=NOW - 25 * HOUR, until=None)])


def test_status_that_is_none_is_as_good_as_no_status() -> None:
    other = SimCard(SUB)
    stranger = Issuer("Cấp phát", ROOT)
    stranger_card = SimCard(stranger)
    for response in (
        SUB.ocsp(CARD.certificate, UNKNOWN),
        SUB.ocsp(other.certificate),
        SUB.ocsp(CARD.certificate, at=NOW + HOUR),
        SUB.ocsp(CARD.certificate, responder=stranger.certificate, responder_key=stranger.key),
        SUB.ocsp(CARD.certificate, responder=other.certificate, responder_key=other.key),
        SUB.ocsp(CARD.certificate, digest=hashes.SHA224()),
        stranger.ocsp(CARD.certificate),
        stranger.ocsp(stranger_card.certificate),
        ROOT.ocsp(CARD.certificate),
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
            serialization.Encoding.DER
        ),
        SUB.crl(),
        b"",
    ):
        with pytest.raises(Untrusted, match="no status"):
            status(responses=[response])
    for listed in (
        SUB.crl(at=NOW + HOUR),
        SUB.crl(signer=stranger),
        SUB.crl(digest=hashes.SHA224()),
        ROOT.crl(),
        stranger.crl(),
        SUB.crl(extensions=((x509.DeltaCRLIndicator(1), True),)),
        SUB.ocsp(CARD.certificate),
        b"",
    ):
        with pytest.raises(Untrusted, match="no status"):
            status(crls=[listed])


def test_responder_that_the_issuer_certified_is_believed_and_no_other() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    edwards: Any = ed25519.Ed25519PrivateKey.generate()
    good = SUB.responder(key)

    def response(responder: x509.Certificate, **changes: Any) -> bytes:
        arguments: dict[str, Any] = {"responder_key": key, "embedded": [responder], **changes}
        return SUB.ocsp(CARD.certificate, responder=responder, **arguments)

    assert status(responses=[response(good)])["source"] == "ocsp"
    assert status(responses=[response(good, by_key=True)])["source"] == "ocsp"
    for other in (
        response(good, embedded=[]),
        response(good, embedded=[SUB.responder(ec.generate_private_key(ec.SECP256R1()))]),
        response(SUB.responder(key, ExtendedKeyUsageOID.CLIENT_AUTH)),
        response(SUB.issue(key, name="OCSP")),
        response(SUB.responder(key, not_after=NOW - HOUR)),
        response(SUB.responder(key, digest=hashes.SHA224())),
        response(ROOT.responder(key)),
        response(good, embedded=[SUB.responder(edwards)]),
        response(Issuer("Cấp phát").responder(key)),
    ):
        with pytest.raises(Untrusted):
            status(responses=[other])


def test_list_of_other_certificates_is_no_status() -> None:
    point = x509.UniformResourceIdentifier(CRL_URL)
    own = x509.CRLDistributionPoints([x509.DistributionPoint([point], None, None, None)])
    certificate = made(extensions=((SIGNER, True), (own, False)))
    path = trust(SUB).path(certificate, [], NOW)

    def crl(**changes: Any) -> bytes:
        members: dict[str, Any] = {
            "full_name": None,
            "relative_name": None,
            "only_contains_user_certs": False,
            "only_contains_ca_certs": False,
            "only_some_reasons": None,
            "indirect_crl": False,
            "only_contains_attribute_certs": False,
            **changes,
        }
        return SUB.crl(extensions=((x509.IssuingDistributionPoint(**members), True),))

    elsewhere = [x509.UniformResourceIdentifier("http://ca.example/another.crl")]
    assert check_status(path, [], [crl(full_name=[point])], NOW)["source"] == "crl"
    assert check_status(path, [], [crl(only_contains_user_certs=True)], NOW)["source"] == "crl"
    for listed in (
        crl(full_name=elsewhere),
        crl(only_contains_ca_certs=True),
        crl(only_contains_attribute_certs=True),
        crl(indirect_crl=True),
        crl(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})),
    ):
        with pytest.raises(Untrusted):
            check_status(path, [], [listed], NOW)
    without_points = trust(SUB).path(CARD.der, [], NOW)
    with pytest.raises(Untrusted):
        check_status(without_points, [], [crl(full_name=[point])], NOW)
    number = SUB.crl(extensions=((x509.CRLNumber(7), False),))
    assert check_status(path, [], [number], NOW)["source"] == "crl"


def test_issuer_that_may_not_sign_lists_signs_none() -> None:
    ca = x509.BasicConstraints(ca=True, path_length=None)
    issuer = Issuer(extensions=((ca, True), (key_usage(key_cert_sign=True), True)))
    card = SimCard(issuer)
    path = trust(issuer).path(card.der, [], NOW)
    with pytest.raises(Untrusted):
        check_status(path, [], [issuer.crl()], NOW)


def test_issuer_with_another_kind_of_key_gives_no_status() -> None:
    edwards: Any = ed25519.Ed25519PrivateKey.generate()
    odd = ROOT.issue(edwards, name=SUB.name, extensions=((AUTHORITY, True),))
    responses = [SUB.ocsp(CARD.certificate), SUB.ocsp(CARD.certificate, by_key=True)]
    assert statements(CARD.certificate, odd, responses, [SUB.crl()], NOW) == []


def test_no_rubbish_of_a_status_is_believed_or_raises_anything_else() -> None:
    chance = random.Random("status")  # noqa: S311 - the same rubbish in every run
    path = trust(SUB).path(CARD.der, [], NOW)
    other = SimCard(SUB).certificate
    response = SUB.ocsp(CARD.certificate, embedded=[SUB.certificate])
    said = set(statements(path.certificate, path.issuer, [response], [SUB_CRL], NOW))
    assert len(said) == 2
    for _ in range(FUZZ):
        for responses, crls in (
            ([mutated(response, chance)], []),
            ([], [mutated(SUB_CRL, chance)]),
            ([mutated(SUB.certificate.public_bytes(serialization.Encoding.DER), chance)], []),
        ):
            found = statements(path.certificate, path.issuer, responses, crls, NOW)
            # A change outside what is signed (an embedded certificate) leaves it what it was.
            assert set(found) <= said
    assert statements(other, SUB.certificate, [response], [], NOW) == []


def test_no_rubbish_of_a_certificate_raises_anything_else() -> None:
    chance = random.Random("certificate")  # noqa: S311 - the same rubbish in every run
    believer = trust()
    for _ in range(FUZZ):
        for certificate, chain in (
            (mutated(CARD.der, chance), [SUB.der]),
            (CARD.der, [mutated(SUB.der, chance)]),
        ):
            if [certificate, *chain] == [CARD.der, SUB.der]:
                continue
            with pytest.raises(Untrusted):
                believer.path(certificate, chain, NOW)


SUB_CRL = SUB.crl(SimCard(SUB).certificate)
