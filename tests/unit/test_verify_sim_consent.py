"""The small verifier under docs judges what the SAM accepts, with cryptography alone."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import json
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.sim_card import AUTHORITY, DAY, NOW, SIGNER, Issuer, SimCard
from tests.unit.test_sim_consent_structure import bound, build
from tests.unit.test_sim_signature import card, issuer, signed

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).parents[2] / "docs" / "verify-sim-consent" / "verify.py"
SHA256 = "2.16.840.1.101.3.4.2.1"
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def main() -> Callable[[list[str]], int]:
    spec = importlib.util.spec_from_file_location("verify_sim_consent", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Callable[[list[str]], int]", module.main)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def exported(
    mode: str = "structure", form: str = "cms", one: SimCard | None = None, count: int = 1
) -> dict[str, Any]:
    one, asked = one or card(), bound(count)
    chosen: Any = mode
    structure = build(asked, mode=mode, certificate_sha256=hashlib.sha256(one.der).digest())
    content = structure.contents(chosen)[-1]
    if (mode, form) == ("digest", "cms"):
        content = structure.digest
    documents = [
        {"label": f"{number}/QĐ-BNV", "algorithm": SHA256, "digest": digest}
        for number, digest in enumerate(asked.hashes)
    ]
    return {
        "format": "remote-signing/sim-evidence/v1",
        "structure": text(structure.encoded),
        "mode": mode,
        "signature": {"format": form, "value": text(signed(one, form, content))},
        "certificate": text(one.der),
        "chain": [],
        "documents": documents,
        "ocsp": [],
        "crls": [],
        "statement": "",
    }


def written(folder: Path, evidence: object) -> str:
    file = folder / "evidence.json"
    file.write_text(json.dumps(evidence), "utf-8")
    return str(file)


@pytest.mark.parametrize("mode", ["structure", "digest", "text"])
@pytest.mark.parametrize("form", ["cms", "ecdsa_der", "ecdsa_raw", "pkcs1"])
def test_verifier_agrees_with_the_sam(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    mode: str,
    form: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evidence = exported(mode, form, card("rsa2048") if form == "pkcs1" else None, count=4)
    for document in evidence["documents"]:
        assert main([written(tmp_path, evidence), "--digest", document["digest"]]) == 0
    assert "The SIM signed for exactly this digest." in capsys.readouterr().out


def test_verifier_runs_alone_and_tells_who_and_what(tmp_path: Path) -> None:
    evidence = exported()
    digest = evidence["documents"][0]["digest"]
    authority = tmp_path / "ca.pem"
    authority.write_bytes(issuer().certificate.public_bytes(serialization.Encoding.PEM))
    command = [sys.executable, "-I", str(SCRIPT), written(tmp_path, evidence)]
    ran = subprocess.run(
        [*command, "--digest", digest.upper(), "--issuer", str(authority)],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "utf-8"},
    )
    told = ran.stdout.decode()
    assert "CN=Nguyễn Văn An" in told
    assert digest in told
    assert "Bộ Nội vụ: ký 12/QĐ-BNV về bổ nhiệm" in told


def test_verifier_needs_cryptography_and_nothing_else() -> None:
    tree = ast.parse(SCRIPT.read_text("utf-8"))
    names = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    roots = {name.split(".")[0] for name in names}
    assert roots - set(sys.stdlib_module_names) == {"cryptography"}


def test_verifier_refuses_what_the_sim_did_not_sign(
    main: Callable[[list[str]], int], tmp_path: Path
) -> None:
    good = exported()
    digest = good["documents"][0]["digest"]
    stranger = SimCard(issuer())
    other_document = [{"label": "x", "algorithm": SHA256, "digest": digest}]
    wrong: list[dict[str, Any]] = [
        {"format": "another"},
        {"mode": "digest"},
        {"mode": "blind"},
        {"structure": exported(count=2)["structure"]},
        {"certificate": text(stranger.der)},
        {"signature": exported(one=stranger)["signature"]},
        {"signature": {"format": "ecdsa_raw", "value": text(bytes(64))}},
        {"signature": {"format": "ecdsa_der", "value": "!"}},
        {"documents": other_document},
        {"documents": []},
        {"documents": good["documents"] * 2},
        {"signature": None},
        {"structure": text(b"0")},
    ]
    for changes in wrong:
        assert main([written(tmp_path, good | changes), "--digest", digest]) == 1
    assert main([written(tmp_path, good), "--digest", "00" * 32]) == 1
    assert main([written(tmp_path, []), "--digest", digest]) == 1
    authority = tmp_path / "ca.pem"
    authority.write_bytes(Issuer().certificate.public_bytes(serialization.Encoding.PEM))
    arguments = [written(tmp_path, good), "--digest", digest, "--issuer", str(authority)]
    assert main(arguments) == 1


def judged(
    main: Callable[[list[str]], int], folder: Path, authority: Issuer, one: SimCard | None = None
) -> int:
    """The verdict on good evidence of a SIM that ``authority`` certified."""
    evidence = exported(one=one or SimCard(authority))
    anchor = folder / "ca.pem"
    anchor.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    digest = evidence["documents"][0]["digest"]
    return main([written(folder, evidence), "--digest", digest, "--issuer", str(anchor)])


NO_AUTHORITY: dict[str, tuple[tuple[x509.ExtensionType, bool], ...]] = {
    "nothing said of it": (),
    "not an authority": ((x509.BasicConstraints(ca=False, path_length=None), True),),
    "only the usage": ((AUTHORITY, True),),
    "not to certify": ((x509.BasicConstraints(ca=True, path_length=None), True), (SIGNER, True)),
}


@pytest.mark.parametrize("extensions", NO_AUTHORITY.values(), ids=NO_AUTHORITY)
def test_verifier_believes_no_issuer_that_may_not_certify(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert judged(main, tmp_path, Issuer()) == 0
    assert judged(main, tmp_path, Issuer(extensions=extensions)) == 1
    assert "no authority that may certify" in capsys.readouterr().err


def test_verifier_takes_no_other_officials_certificate_for_an_authority(
    main: Callable[[list[str]], int], tmp_path: Path
) -> None:
    official = Issuer(parent=Issuer("Gốc"), extensions=((SIGNER, True),))
    assert judged(main, tmp_path, official) == 1


# The question of the evidence begins at NOW and ends five minutes later.
OUT_OF_TIME: dict[str, dict[str, Any]] = {
    "not yet valid": {"not_before": NOW + SECOND},
    "over before": {"not_after": NOW - DAY},
    "over before its end": {"not_after": NOW + 299 * SECOND},
}


@pytest.mark.parametrize("times", OUT_OF_TIME.values(), ids=OUT_OF_TIME)
def test_verifier_looks_at_the_time_of_both_certificates(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    times: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    authority = Issuer()
    fitting: dict[str, Any] = {"not_before": NOW, "not_after": NOW + 300 * SECOND}
    good, late = SimCard(authority), SimCard(authority)
    good.certificate = authority.issue(good.key, **fitting)
    late.certificate = authority.issue(late.key, **times)
    assert judged(main, tmp_path, authority, good) == 0
    assert judged(main, tmp_path, authority, late) == 1
    assert "the certificate was not valid" in capsys.readouterr().err
    assert judged(main, tmp_path, Issuer(**fitting)) == 0
    assert judged(main, tmp_path, Issuer(**times)) == 1
    assert "the issuer's certificate was not valid" in capsys.readouterr().err


@pytest.mark.parametrize("member", ["structure", "signature"])
def test_verifier_refuses_every_changed_bit_of_what_is_signed(
    main: Callable[[list[str]], int], tmp_path: Path, member: str
) -> None:
    good = exported(form="ecdsa_raw")
    digest = good["documents"][0]["digest"]
    chance = random.Random(member)  # noqa: S311 - the same bits in every run
    value = good["structure"] if member == "structure" else good["signature"]["value"]
    data = base64.b64decode(value)
    for bit in chance.sample(range(len(data) * 8), 200):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        put: Any = text(bytes(changed))
        if member == "signature":
            put = {"format": "ecdsa_raw", "value": put}
        assert main([written(tmp_path, good | {member: put}), "--digest", digest]) == 1
