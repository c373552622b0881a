"""The operator's command line with a real SAM and each database, as an operator types it."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey
from PIL import Image

from remote_signing import cli
from remote_signing.cli.settings import ConfigFolder
from remote_signing.clock import SystemClock, as_datetime
from remote_signing.errors import PinNotOffered
from remote_signing.rssp import (
    account_codes,
    enrolment,
    freezing,
    pin_choice,
    pin_records,
    sessions,
    subscribers,
)
from remote_signing.rssp.registration import RegistrationAuthority
from tests.support.sam import toml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.sam import RunningSam

NAME = "an.nguyen"


@dataclass
class Desk:
    """Somebody at a terminal, with a configuration folder."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    said: str = ""  # by the last command, on stderr
    out: str = ""  # on stdout, by the last command

    def type(self, *words: str, status: int = 0) -> str:
        """What the command says on stdout; its exit status is checked."""
        self.capture.readouterr()
        found = cli.main(["--config", str(self.folder), *words])
        told = self.capture.readouterr()
        self.said = told.err
        self.out = told.out
        assert found == status, told.err
        assert "Traceback" not in told.err
        return told.out if status == 0 else told.err

    def json(self, *words: str) -> Any:
        return json.loads(self.type(*words, "--json"))

    def kinds(self, credential_id: str) -> list[str]:
        """The audit events of a credential."""
        lines = self.type("audit", "show", "--json").splitlines()
        events = [json.loads(line) for line in lines]
        return [event["kind"] for event in events if event["credential_id"] == credential_id]


@pytest.fixture(scope="module")
def authority_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ra") / "ra.key"
    RegistrationAuthority.create(path)
    return path


@pytest.fixture(scope="module")
def sam(authority_key: Path, sam_factory: Callable[..., RunningSam]) -> RunningSam:
    authority = RegistrationAuthority.load(authority_key)
    return sam_factory(workers=1, pinned={authority.key_id: authority.public_key})


@pytest.fixture
def desk(
    migrated_database_url: str,
    sam: RunningSam,
    authority_key: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    tables: dict[str, dict[str, object]] = {
        "service": {"name": "Ký số", "logo": "https://x/x.png", "region": "VN", "description": "x"},
        "urls": {"issuer": "http://127.0.0.1:1", "consent": "http://127.0.0.1:2"},
        "database": {"url": migrated_database_url},
        "sam": {"socket": sam.address.path},
    }
    text = ""
    for name, members in tables.items():
        text += f"[{name}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in members.items())
    (tmp_path / "rssp.toml").write_text(text, "utf-8")
    (tmp_path / "ra.key").write_bytes(authority_key.read_bytes())
    (tmp_path / "ra.key").chmod(0o600)
    (tmp_path / "password").write_text("một mật khẩu đủ dài\n", "utf-8")
    (tmp_path / "password").chmod(0o600)
    desk = Desk(tmp_path, capsys)
    desk.type("agency", "add", "Bộ Nội vụ", "--code", "G09", "--province", "Hà Nội")
    desk.type(
        *("subscriber", "add", NAME, "--agency", "G09", "--name", "Nguyễn Văn An"),
        *("--position", "Vụ trưởng", "--password-file", str(tmp_path / "password")),
    )
    return desk


def issue(desk: Desk, *options: str) -> dict[str, Any]:
    issued: dict[str, Any] = desk.json("credential", "issue", NAME, *options)
    return issued


def test_a_credential_is_issued_shown_suspended_and_destroyed(desk: Desk) -> None:
    issued = issue(desk)
    assert issued["otpauth_uri"].startswith("otpauth://totp/")
    its_id = issued["credential_id"]
    assert desk.json("credential", "list", NAME)[0]["state"] == "enabled"
    desk.type("credential", "disable", its_id)
    assert desk.json("credential", "show", its_id)["state"] == "disabled"
    desk.type("credential", "enable", its_id)
    desk.type("credential", "unlock", its_id)
    desk.type("credential", "destroy", its_id, "--yes")
    assert "no credential" in desk.type("credential", "show", its_id, status=1)
    assert desk.kinds(its_id) == [
        *("credential.ordered", "credential.created"),
        *("credential.ordered", "credential.certified"),
        *("credential.disabled", "credential.enabled"),
        *("credential.ordered", "credential.unlocked"),
        *("credential.ordered", "credential.destroyed"),
    ]


def test_a_command_says_which_state_resulted(desk: Desk) -> None:
    its_id = issue(desk)["credential_id"]

    def told(*words: str) -> str:
        """The state that the command names, on stderr."""
        desk.type("credential", *words)
        return desk.said.strip().rpartition(" ")[2]

    assert told("suspend", its_id) == "suspended"
    with ConfigFolder(desk.folder).services() as services:
        found = subscribers.find(services.database, username=NAME)
        assert found is not None
        with services.database.transaction() as connection:
            ticket = sessions.open_for(services, connection, found, "password").ticket
        assert freezing.freeze(services, ticket) == 1
    assert desk.json("credential", "show", its_id)["frozen"] is True
    assert told("resume", its_id) == "frozen"
    assert told("suspend", its_id) == "frozen"
    assert told("unfreeze", its_id) == "suspended"
    assert told("resume", its_id) == "enabled"
    assert told("disable", its_id) == "disabled"
    assert told("suspend", its_id) == "disabled"
    assert told("enable", its_id) == "suspended"
    assert told("revoke", its_id, "--reason", "superseded", "--yes") == "revoked"


def test_a_lost_phone_is_removed_and_a_new_one_bound(desk: Desk) -> None:
    its_id = issue(desk)["credential_id"]
    old = factors(desk, its_id)["totp"]
    desk.type("credential", "drop-factor", its_id, old)
    assert "totp" not in factors(desk, its_id)
    added = desk.json("credential", "add-factor", its_id, "totp")
    assert added["otpauth_uri"].startswith("otpauth://totp/")
    assert f":{NAME}?" in added["otpauth_uri"]
    assert factors(desk, its_id)["totp"] != old
    assert "OrderInvalid" in desk.type("credential", "drop-factor", its_id, old, status=1)


def factors(desk: Desk, credential_id: str) -> dict[str, str]:
    told = desk.json("credential", "show", credential_id)["factors"].split(", ")
    return {each.partition(" ")[0]: each.partition(" ")[2] for each in told}


def test_secrets_go_into_a_file_that_only_its_owner_reads(desk: Desk) -> None:
    file = desk.folder / "secrets.json"
    issued = issue(desk, "--secrets-file", str(file))
    assert issued["secrets_file"] == str(file)
    assert set(json.loads(file.read_text("utf-8"))) == {"pin", "otpauth_uri"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert "pin" not in issued


@pytest.mark.parametrize("there", ["exists", "nowhere"])
def test_a_secrets_file_that_cannot_be_made_stops_before_a_key_is_made(
    desk: Desk, there: str
) -> None:
    file = desk.folder / there / "secrets.json"
    if there == "exists":
        file.parent.mkdir()
        file.write_text("kept", "utf-8")
    words = ("credential", "issue", NAME, "--secrets-file", str(file))
    assert "cannot make" in desk.type(*words, status=2)
    assert desk.json("credential", "list", NAME) == []
    assert there == "nowhere" or file.read_text("utf-8") == "kept"


def test_secrets_survive_a_certification_that_fails_and_it_is_resumed(desk: Desk) -> None:
    file = desk.folder / "secrets.json"
    words = ("credential", "issue", NAME, "--validity-days", "99999", "--secrets-file", str(file))
    said = desk.type(*words, status=1)
    assert "credential certify" in said
    assert json.loads(file.read_text("utf-8"))["pin"]
    (view,) = desk.json("credential", "list", NAME)
    assert view["state"] == "disabled"
    desk.type("credential", "certify", view["id"], "--validity-days", "30")
    assert desk.json("credential", "list", NAME)[0]["state"] == "enabled"


def test_a_request_file_that_is_there_stops_before_a_key_is_made(desk: Desk) -> None:
    file = desk.folder / "key.csr"
    file.write_text("kept", "utf-8")
    secrets = desk.folder / "secrets.json"
    words = ("credential", "issue", NAME, "--csr-file", str(file))
    assert "cannot make" in desk.type(*words, status=2)
    assert "cannot make" in desk.type(*words, "--secrets-file", str(secrets), status=2)
    assert desk.json("credential", "list", NAME) == []
    assert (file.read_text("utf-8"), secrets.exists()) == ("kept", False)


@pytest.mark.parametrize("step", ["certify", "write"])
def test_secrets_are_shown_when_the_command_is_interrupted(
    desk: Desk, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    words = ["credential", "issue", NAME, "--json"]
    with monkeypatch.context() as patched:
        if step == "certify":
            patched.setattr(enrolment.Enrolment, "certify", interrupted)
        else:
            words += ["--csr-file", str(desk.folder / "key.csr")]
            patched.setattr(os, "fsync", interrupted)
        said = desk.type(*words, status=130)
    told = json.loads(desk.out)
    assert told["pin"]
    assert told["otpauth_uri"]
    assert f"credential certify {told['credential_id']}" in said


def test_another_ca_certifies_a_key_of_the_hsm(desk: Desk) -> None:
    request_file, chain_file = desk.folder / "key.csr", desk.folder / "chain.pem"
    its_id = issue(desk, "--csr-file", str(request_file))["credential_id"]
    request = x509.load_der_x509_csr(request_file.read_bytes())
    assert request.is_signature_valid
    ca, now = ec.generate_private_key(ec.SECP256R1()), as_datetime(SystemClock().now_ms())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA khác")])
    end = now.replace(year=now.year + 1, day=1)
    builder = x509.CertificateBuilder(name, name, None, 7, now.replace(microsecond=0), end)
    certificates = [
        builder.public_key(key).sign(ca, hashes.SHA256())
        for key in (request.public_key(), ca.public_key())
    ]
    pem = b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
    chain_file.write_bytes(pem)
    assert "no PEM" in desk.type(
        "credential", "install-certificate", its_id, str(request_file), status=2
    )
    desk.type("credential", "install-certificate", its_id, str(chain_file))
    assert desk.json("credential", "show", its_id)["state"] == "enabled"


def test_an_organisation_is_certified_under_its_own_name(desk: Desk) -> None:
    password = str(desk.folder / "password")
    desk.type(
        *("subscriber", "add", "con.dau", "--agency", "G09", "--name", "Bộ Nội vụ"),
        *("--kind", "organisation", "--password-file", password),
    )
    issued = desk.json("credential", "issue", "con.dau")
    certificate = x509.load_der_x509_certificate(base64.b64decode(issued["certificate"]))
    assert certificate.subject.rfc4514_string() == (
        "2.5.4.97=GO:VN-G09,CN=Bộ Nội vụ,O=Bộ Nội vụ,L=Hà Nội,C=VN"
    )


def test_an_organisation_without_a_code_is_refused_before_a_key_is_made(desk: Desk) -> None:
    desk.type("agency", "add", "Tổ công tác")
    (agency,) = [each for each in desk.json("agency", "list") if each["name"] == "Tổ công tác"]
    desk.type(
        *("subscriber", "add", "to", "--agency", agency["id"], "--name", "Tổ công tác"),
        *("--kind", "organisation", "--password-file", str(desk.folder / "password")),
    )
    assert "tax code" in desk.type("credential", "issue", "to", status=2)
    assert desk.json("credential", "list", "to") == []


def test_an_official_of_a_section_names_every_agency_above(desk: Desk) -> None:
    password = str(desk.folder / "password")
    desk.type("agency", "add", "Cục Văn thư", "--code", "G09.2", "--parent", "G09")
    desk.type("agency", "add", "Phòng Lưu trữ", "--code", "G09.2.1", "--parent", "G09.2")
    desk.type(
        *("subscriber", "add", "binh", "--agency", "G09.2.1", "--name", "Trần Thị Bình"),
        *("--password-file", password),
    )
    issued = desk.json("credential", "issue", "binh")
    certificate = x509.load_der_x509_certificate(base64.b64decode(issued["certificate"]))
    subscriber = issued["subscriber_id"]
    assert certificate.subject.rfc4514_string() == (
        f"2.5.4.5={subscriber},CN=Trần Thị Bình,OU=Phòng Lưu trữ,OU=Cục Văn thư,O=Bộ Nội vụ,"
        "L=Hà Nội,C=VN"
    )


def test_mended_records_stand_in_the_next_certificate(desk: Desk) -> None:
    desk.type("agency", "add", "Bộ Y tê", "--code", "G10", "--province", "Hà Nội")
    assert desk.json("agency", "update", "G10", "--name", "Bộ Y tế")["changed"] == ["name"]
    update = ("subscriber", "update", NAME, "--name", "Nguyễn Văn Anh", "--position", "")
    assert desk.json(*update, "--agency", "G10", "--email", "anh@moh.gov.vn")["changed"] == [
        *("full_name", "position", "email", "agency_id")
    ]
    issued = issue(desk)
    certificate = x509.load_der_x509_certificate(base64.b64decode(issued["certificate"]))
    subject = certificate.subject.rfc4514_string()
    assert "CN=Nguyễn Văn Anh,O=Bộ Y tế,L=Hà Nội,C=VN" in subject
    assert "Vụ trưởng" not in subject
    assert "nothing would change" in desk.type(*update, status=2)
    assert "nothing would change" in desk.type("agency", "update", "G10", status=2)
    assert "no agency" in desk.type("subscriber", "update", NAME, "--agency", "G11", status=1)


def test_a_clients_secret_is_told_once_and_can_be_replaced(desk: Desk) -> None:
    words = ("--name", "Cổng", "--auth-method", "client_secret_basic", "--agency", "G09")
    redirect = ("--redirect-uri", "https://portal.example/cb")
    added = desk.json("client", "add", "portal", *words, *redirect)
    file = desk.folder / "client.json"
    assert desk.json("client", "rotate-secret", "portal", "--secret-file", str(file)) == {
        "client_id": "portal",
        "secrets_file": str(file),
    }
    second = json.loads(file.read_text("utf-8"))
    assert second["client_id"] == "portal"
    assert second["client_secret"] != added["client_secret"]
    desk.type("client", "disable", "portal")
    assert desk.json("client", "list")[0]["state"] == "suspended"
    desk.type("client", "enable", "portal")
    assert "no client" in desk.type("client", "rotate-secret", "nobody", status=1)


def test_what_is_registered_for_a_client_can_be_changed(desk: Desk) -> None:
    old, new = (ECKey.generate_key("P-256") for _ in range(2))
    file = desk.folder / "keys.json"

    def keys(key: ECKey, *, private: bool = False) -> str:
        file.write_text(json.dumps({"keys": [key.as_dict(private=private)]}))
        return str(file)

    back = ("--redirect-uri", "https://portal.example/back")
    desk.type("client", "add", "portal", "--name", "Cổng", "--jwks", keys(old), *back)
    desk.type(
        *("client", "update", "portal", "--jwks", keys(new), "--dpop", "--agency", "G09"),
        *("--redirect-uri", "https://portal.example/moi"),
    )
    (client,) = desk.json("client", "list")
    assert client["redirect_uris"] == ["https://portal.example/moi"]
    assert client["dpop_required"] is True
    assert client["jwks"] == {"keys": [new.as_dict(private=False)]}
    assert client["name"] == "Cổng"
    lines = desk.type("audit", "show", "--json").splitlines()
    (event,) = [each for each in map(json.loads, lines) if each["kind"] == "client.changed"]
    assert event["client_id"] == "portal"
    assert event["detail"]["jwks"] == [new.thumbprint()]
    update = ("client", "update", "portal")
    assert "private" in desk.type(*update, "--jwks", keys(new, private=True), status=2)
    assert "redirect_uri" in desk.type(*update, "--redirect-uri", "http://a.vn/", status=2)
    assert "nothing" in desk.type(*update, status=1)
    assert "no client" in desk.type("client", "update", "nobody", "--name", "X", status=1)


def test_a_clients_logo_is_put_up_and_taken_away(desk: Desk, tmp_path: Path) -> None:
    words = ("--name", "Cổng", "--auth-method", "client_secret_basic")
    desk.json("client", "add", "portal", *words, "--redirect-uri", "https://portal.example/xong")
    picture = tmp_path / "logo.png"
    Image.new("RGB", (200, 200), (143, 20, 23)).save(picture)
    desk.type("client", "logo", "portal", str(picture))
    desk.type("client", "logo", "portal")
    lines = desk.type("audit", "show", "--json").splitlines()
    events = [each for each in map(json.loads, lines) if each["kind"] == "client.changed"]
    assert [each["detail"]["logo"] is not None for each in events] == [True, False]
    picture.write_text("<svg/>")
    assert "no picture" in desk.type("client", "logo", "portal", str(picture), status=2)
    assert "no client" in desk.type("client", "logo", "nobody", status=1)


def test_what_does_not_exist_is_told_in_words(desk: Desk) -> None:
    for words in (("show",), ("enable",), ("certify",), ("unlock",), ("destroy", "--yes")):
        assert desk.type("credential", *words, "0" * 26, status=1)
    assert desk.type("credential", "add-factor", "0" * 26, "pin", status=1)
    assert desk.type("credential", "issue", "nobody", status=1)
    assert desk.type("credential", "add-factor", "0" * 26, "iris", status=2)


def test_a_new_official_gets_a_code_with_its_picture_in_the_place_of_a_password(
    desk: Desk, tmp_path: Path
) -> None:
    name = "binh.tran"
    desk.type("agency", "add", "Sở Nội vụ", "--code", "G09.77")
    desk.type("subscriber", "add", name, "--agency", "G09.77", "--name", "Bình", "--by-code")
    picture = tmp_path / "code.svg"
    told = desk.json("subscriber", "invite", name, "--svg", str(picture))
    assert told["link"] == f"http://127.0.0.1:2/activate#{told['code']}"
    assert picture.read_bytes().startswith(b"<?xml")
    shown = desk.type("subscriber", "invite", name)
    assert told["code"] not in shown, "another one; the first is void"
    assert "█" in shown
    desk.type("subscriber", "invite", name, "--svg", str(picture), status=2)
    desk.type("subscriber", "invite", "nobody", status=1)


def test_a_new_official_chooses_a_pin_that_nobody_was_told_before(desk: Desk) -> None:
    told = desk.json("credential", "issue", NAME, "--choose-pin")
    assert "pin" not in told
    code = account_codes.read_as(desk.json("subscriber", "invite", NAME, "--choose-pin")["code"])
    secret = parse_qs(urlsplit(told["otpauth_uri"]).query)["secret"][0]
    with ConfigFolder(desk.folder).services() as services:
        name, owner = told["credential_id"], told["subscriber_id"]
        typed = pin_choice.Typed("73519482", code, pyotp.TOTP(secret).now())
        pin_choice.choose(services, owner, name, typed)
        assert pin_records.retire_owed(services) == 0
        with pytest.raises(PinNotOffered):
            pin_choice.choose(services, owner, name, typed)


def test_who_comes_in_by_the_identity_provider_is_bound_and_unbound(desk: Desk) -> None:
    bind = ("subscriber", "bind-openid", NAME, "--value-file", str(desk.folder / "value"))
    (desk.folder / "value").write_text("001099012345\n", "utf-8")
    assert "no [openid]" in desk.type("openid-keys", status=1)
    desk.type(*bind, status=1)
    (desk.folder / "subjects").write_bytes(b"k" * 32)
    key = ECKey.generate_key("P-256")
    (desk.folder / "openid.pem").write_bytes(key.as_pem(private=True))
    before = (desk.folder / "rssp.toml").read_text("utf-8")
    table = 'issuer = "https://a.example"\nclient_id = "c"\n'
    table += 'key_file = "openid.pem"\nsubject_key_file = "subjects"\n'
    (desk.folder / "rssp.toml").write_text(f"{before}\n[openid]\n{table}", "utf-8")
    (known,) = json.loads(desk.type("openid-keys"))["keys"]
    assert (known["kid"], "d" in known) == (key.thumbprint(), False)
    desk.type(*bind)
    desk.type(*bind, status=2)
    desk.type("subscriber", "bind-openid", NAME, status=2)
    for removed in ("1", "0"):
        assert desk.json("subscriber", "unbind-openid", NAME)["removed"] == removed
    (desk.folder / "rssp.toml").write_text(before, "utf-8")
