"""``remote-signing subscriber enrol-list``: who is on a list, and what becomes of the secrets."""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import FIRST_COMPLETED, wait
from typing import TYPE_CHECKING
from unicodedata import normalize

from remote_signing.cli import mass_enrolment, secrets_told
from remote_signing.cli.settings import ConfigFolder
from remote_signing.errors import HsmUnavailable
from remote_signing.rssp import account_codes, enrolment, subscribers
from tests.integration import test_cli
from tests.integration.test_cli import NAME, Desk, issue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    import pytest

# The same desk, with a SAM of its own.
authority_key, sam, desk = test_cli.authority_key, test_cli.sam, test_cli.desk


def test_list_is_enrolled_and_goes_on_where_it_stopped(desk: Desk, tmp_path: Path) -> None:
    cut_off = ("--agency", "G09", "--name", "Lê Thị Bình", "--by-code", "--json")
    desk.type("subscriber", "add", "binh.le", *cut_off)  # registered, and then the machine stopped
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    names.write_text("username,full_name,position\nan.tran,Trần Văn An,Vụ trưởng\n", "utf-8")
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))
    assert desk.json(*enrol) == {"enrolled": 1, "there_already": 0, "failed": 0}
    with names.open("a", encoding="utf-8") as lines:
        lines.write("binh.le,Lê Thị Bình,\n")
    assert desk.json(*enrol) == {"enrolled": 1, "there_already": 1, "failed": 0}
    assert desk.json(*enrol) == {"enrolled": 0, "there_already": 2, "failed": 0}
    records = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert [record["username"] for record in records] == ["an.tran", "binh.le"]
    assert told.stat().st_mode & 0o777 == 0o600
    for record in records:
        assert record["otpauth_uri"].startswith("otpauth://totp/")
        (held,) = desk.json("credential", "list", record["username"])
        assert (held["id"], held["state"]) == (record["credential_id"], "enabled")


def test_key_of_a_list_whose_certificate_never_came_gets_one(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    names.write_text("username,full_name\nan.tran,Trần Văn An\n", "utf-8")
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))

    def away(*_: object) -> bytes:
        raise HsmUnavailable("gone in between")

    with monkeypatch.context() as patched:
        patched.setattr(enrolment.Enrolment, "certify", away)
        assert "an.tran: HsmUnavailable" in desk.type(*enrol, status=1)
    assert desk.json(*enrol) == {"enrolled": 1, "there_already": 0, "failed": 0}
    (record,) = told.read_text("utf-8").splitlines()  # nothing was told twice
    (held,) = desk.json("credential", "list", "an.tran")
    assert (held["id"], held["state"]) == (json.loads(record)["credential_id"], "enabled")


def test_list_refuses_a_user_name_of_somebody_else(desk: Desk, tmp_path: Path) -> None:
    desk.type("agency", "add", "Bộ Y tế", "--code", "G10")
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G10", "--secrets-file", str(told))
    refused = {"enrolled": 0, "there_already": 0, "failed": 1}
    for agency, full_name in (("G10", "Nguyễn Văn An"), ("G09", "Nguyễn Văn Anh")):
        names.write_text(f"username,full_name\n{NAME},{full_name}\n", "utf-8")
        words = (*enrol[:3], "--agency", agency, *enrol[5:], "--json")
        assert "InvalidInput: the user name" in desk.type(*words, status=1)
        assert json.loads(desk.out) == refused
    assert desk.json("credential", "list", NAME) == []
    assert told.read_text("utf-8") == ""
    with ConfigFolder(desk.folder).services() as services:
        assert subscribers.sign_in(services, NAME, "một mật khẩu đủ dài").username == NAME


def test_list_leaves_the_password_of_who_came_in_with_it(desk: Desk, tmp_path: Path) -> None:
    code = desk.json("subscriber", "invite", NAME)["code"]
    with ConfigFolder(desk.folder).services() as services:
        account_codes.redeem(services, code, "mật khẩu của riêng tôi")
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    # Letters and marks apart, as some keyboards write them.
    names.write_text(normalize("NFD", f"username,full_name\n{NAME},Nguyễn Văn An\n"), "utf-8")
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))
    assert desk.json(*enrol) == {"enrolled": 1, "there_already": 0, "failed": 0}
    assert "password" not in json.loads(told.read_text("utf-8"))
    with ConfigFolder(desk.folder).services() as services:
        assert subscribers.sign_in(services, NAME, "mật khẩu của riêng tôi").username == NAME


def test_list_leaves_a_key_that_another_ca_certifies(desk: Desk, tmp_path: Path) -> None:
    its_id = issue(desk, "--csr-file", str(tmp_path / "key.csr"))["credential_id"]
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    names.write_text(f"username,full_name\n{NAME},Nguyễn Văn An\n", "utf-8")
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))
    assert its_id in desk.type(*enrol, status=1)
    (held,) = desk.json("credential", "list", NAME)
    assert (held["id"], held["state"]) == (its_id, "disabled")


def test_list_stops_when_secrets_cannot_be_kept_and_loses_none(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    people = ["an.tran", "binh.le", "chi.vo"]
    rows = "".join(f"{name},{name}\n" for name in people)
    names.write_text(f"username,full_name\n{rows}", "utf-8")
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))
    write, room = os.write, iter([None, 20, 0])

    def full(descriptor: int, content: bytes) -> int:
        """The disk has room for one line and twenty bytes, and then for nothing once."""
        if os.fstat(descriptor).st_ino != told.stat().st_ino:
            return write(descriptor, content)
        taken = content[: next(room)]
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, taken)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        said = desk.type(*enrol, "--at-once", "1", status=1)
    assert "No space left" in said
    assert str(told) in said
    known = {each["username"] for each in desk.json("subscriber", "list")}
    assert known == {NAME, "an.tran", "binh.le"}, "the third was not begun"
    assert desk.json("credential", "list", "binh.le") == [], "a key whose secrets are lost"
    assert desk.json(*enrol) == {"enrolled": 2, "there_already": 1, "failed": 0}
    kept = map(json.loads, told.read_text("utf-8").splitlines())
    records = {each["username"]: each for each in kept}
    assert sorted(records) == people
    for record in records.values():
        assert {"password", "pin", "otpauth_uri"} <= record.keys()
        (held,) = desk.json("credential", "list", record["username"])
        assert (held["id"], held["state"]) == (record["credential_id"], "enabled")


def test_list_gives_no_certificate_to_a_key_whose_secrets_nobody_has(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    names.write_text("username,full_name\nan.tran,Trần Văn An\n", "utf-8")
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))

    def killed(*_: object) -> None:
        raise HsmUnavailable("in the place of kill -9: nothing is tidied up")

    with monkeypatch.context() as patched:
        patched.setattr(secrets_told.SecretsOfMany, "tell", killed)
        desk.type(*enrol, status=1)
    told.write_text('{"username": "an.tr', "utf-8")  # cut off in the middle
    (held,) = desk.json("credential", "list", "an.tran")
    assert f"install-certificate` or `destroy`: {held['id']}" in desk.type(*enrol, status=1)
    desk.type("credential", "destroy", held["id"], "--yes")
    assert desk.json(*enrol) == {"enrolled": 1, "there_already": 0, "failed": 0}
    _, whole = told.read_text("utf-8").splitlines()
    assert json.loads(whole)["credential_id"] != held["id"]


def test_secrets_file_that_another_list_writes_to_is_refused(desk: Desk, tmp_path: Path) -> None:
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    names.write_text("username,full_name\nan.tran,Trần Văn An\n", "utf-8")
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))
    with secrets_told.SecretsOfMany(told):
        assert "cannot open" in desk.type(*enrol, status=2)
    names_too = tmp_path / "link"
    names_too.symlink_to(told)
    assert "cannot open" in desk.type(*enrol[:-1], str(names_too), status=2)


def test_interrupted_list_ends_the_lines_that_are_begun_and_no_more(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    rows = "".join(f"nguoi.{number},An\n" for number in range(12))
    names.write_text(f"username,full_name\n{rows}", "utf-8")
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))

    def interrupted(works: dict[Future[str], str]) -> Iterator[Future[str]]:
        wait(works, return_when=FIRST_COMPLETED)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mass_enrolment, "as_completed", interrupted)
        desk.type(*enrol, "--at-once", "1", status=130)
    records = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert len(records) < 12
    for record in records:
        (held,) = desk.json("credential", "list", record["username"])
        assert held["state"] == "enabled"


def test_list_with_a_mistake_enrols_nobody(desk: Desk, tmp_path: Path) -> None:
    names, told = tmp_path / "list.csv", tmp_path / "told.jsonl"
    enrol = ("subscriber", "enrol-list", str(names), "--agency", "G09", "--secrets-file", str(told))
    for text in (
        "username\nan.tran\n",
        "username,full_name,pin\nan.tran,An,1\n",
        "username,full_name\nan.tran\n",
        "username,full_name\nan.tran,An,more\n",
        "username,full_name\nan.tran,\n",
        "username,full_name\nan.tran,An\nan.tran,Bình\n",
    ):
        names.write_text(text, "utf-8")
        assert str(names) in desk.type(*enrol, status=2)
    assert not told.exists()
    assert [each["username"] for each in desk.json("subscriber", "list")] == [NAME]
