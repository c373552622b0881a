"""The SAM's configuration, its log lines, and a worker's answers: what is said and what is not."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.cli import checks
from remote_signing.errors import HsmFault, InvalidInput, SadExpired
from remote_signing.sam import worker
from remote_signing.sam.config import SamConfig, load, secret_file
from remote_signing.sam.log import JsonLines, configure_logging
from tests.support.sam import POLICY, toml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODE = {"name": "node-1", "module": "m.so", "token_label": "t", "pin_file": "pin"}


def written(folder: Path, **changes: object) -> Path:
    members: dict[str, object] = {
        "cluster_file": "cluster.json",
        "state_folder": "state",
        "socket": "sap.sock",
        "allowed_uids": [1],
        "registration_keys": {},
        "authority": POLICY,
        "nodes": [NODE],
        **changes,
    }
    path = folder / "sam.toml"
    path.write_text("".join(f"{name} = {toml(each)}\n" for name, each in members.items()), "utf-8")
    return path


def test_paths_start_beside_the_file(tmp_path: Path) -> None:
    config = load(written(tmp_path))
    assert config.node("node-1").pin_file == tmp_path / "pin"
    assert config.state_folder == tmp_path / "state"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nodes": [NODE, NODE]}, "same name"),
        ({"nodes": []}, "nodes"),
        ({"authority": {**POLICY, "policy_oid": "1.2.3.x"}}, "policy_oid"),
        ({"authority": {**POLICY, "policy_oid": "1.99.1"}}, "policy_oid"),
        ({"authority": {**POLICY, "policy_oid": "1.2.٣"}}, "policy_oid"),
        ({"authority": {**POLICY, "crl_url": "http://pki.example/thu-hồi"}}, "crl_url"),
        ({"authority": {**POLICY, "ocsp_url": "pki.example"}}, "ocsp_url"),
        ({"registration_keys": {"ra": "AAAA"}}, "registration_keys"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_configuration_that_could_not_work_is_refused_before_anything_starts(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        load(written(tmp_path, **changes))


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sam.toml").write_text("= 1")
    with pytest.raises(InvalidInput):
        load(tmp_path / "sam.toml")


def test_a_file_that_is_not_there_is_told_like_any_other_fault(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.toml"):
        load(tmp_path / "none.toml")


def test_a_credential_of_systemd_is_looked_up_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    config = load(written(tmp_path, nodes=[{**NODE, "pin_file": "credential:pin-1"}]))
    pin_file = config.node("node-1").pin_file
    with pytest.raises(InvalidInput, match="systemd passed no credentials"):
        secret_file(pin_file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(InvalidInput, match="pin-1"):
        secret_file(pin_file)
    (tmp_path / "pin-1").write_text("1234")
    (tmp_path / "pin-1").chmod(0o440)
    assert secret_file(pin_file) == tmp_path / "pin-1"
    (tmp_path / "pin-1").chmod(0o444)
    with pytest.raises(InvalidInput, match="everybody"):
        secret_file(pin_file)


def wrong(config: SamConfig) -> str:
    return "\n".join(checks._wrong_in_sam(config))  # noqa: SLF001 - the other half needs an rssp


def test_the_check_of_a_configuration_judges_secret_files_as_the_sam_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    by_systemd = load(written(tmp_path, nodes=[{**NODE, "pin_file": "credential:pin-1"}]))
    assert "PIN file" not in wrong(by_systemd)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "PIN file" in wrong(by_systemd)
    by_file = load(written(tmp_path))
    assert "PIN file" in wrong(by_file)
    (tmp_path / "pin").write_text("1234")
    for mode, judged in ((0o600, False), (0o440, False), (0o604, True)):
        (tmp_path / "pin").chmod(mode)
        assert ("everybody may use" in wrong(by_file)) is judged


# Log lines


def line(message: str, **extra: object) -> dict[str, Any]:
    record = logging.LogRecord("sam", logging.INFO, "file", 1, message, (), None)
    vars(record).update(extra)
    found: dict[str, Any] = json.loads(JsonLines().format(record))
    return found


@pytest.mark.parametrize(
    "name", ["pin", "new_pin", "otp", "value", "secret", "secrets", "evidence", "sad", "sealed"]
)
def test_a_member_with_a_secrets_name_loses_its_value(name: str) -> None:
    told = line("refused", **{name: "24681357", "node": "node-1", "deep": {name: ["24681357"]}})
    assert "24681357" not in json.dumps(told)
    assert told["node"] == "node-1"


@pytest.mark.parametrize(
    "text",
    [
        "pin=24681357",
        "new_pin: '24681357'",
        '{"value": "24681357"}',
        "otpauth://totp/x?secret=24681357",
    ],
)
def test_text_that_names_a_secret_loses_it(text: str) -> None:
    told = line(text, cause=text, causes=[text])
    assert "24681357" not in json.dumps(told)


def test_ids_numbers_and_names_stay_as_they_are() -> None:
    told = line("refused caller", uid=0, names=["rssp.example"], spinning=True, nothing=None)
    assert (told["uid"], told["names"]) == (0, ["rssp.example"])
    assert (told["spinning"], told["nothing"], told["level"]) == (True, None, "info")


def test_an_exception_is_part_of_its_line_without_what_it_names() -> None:
    try:
        int("pin=24681357")
    except ValueError:
        record = logging.LogRecord("sam", logging.ERROR, "file", 1, "fault", (), sys.exc_info())
    told = json.loads(JsonLines().format(record))
    assert "ValueError" in told["exception"]
    assert "24681357" not in told["exception"]


def test_lines_go_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        configure_logging()
        logging.getLogger("sam").info("listening")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert json.loads(capfd.readouterr().err)["message"] == "listening"


# A worker's answers


def asked(handler: Callable[[Any], dict[str, object]], **arguments: object) -> dict[str, Any]:
    request = json.dumps({"id": 7, "verb": "sign", "args": arguments}).encode()
    found: dict[str, Any] = json.loads(worker.answer({"sign": handler}, request))
    return found


def raising(error: Exception) -> Callable[[Any], dict[str, object]]:
    def handler(_arguments: object) -> dict[str, object]:
        raise error

    return handler


def test_a_fault_of_ours_ends_no_worker_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    told = asked(raising(ValueError("secret detail")), client_id="portal")
    assert told == {"id": 7, "error": {"name": "SamUnavailable", "public": {}}}
    assert "secret detail" in caplog.text
    assert vars(caplog.records[0])["verb"] == "sign"
    assert vars(caplog.records[0])["client_id"] == "portal"


def test_a_refusal_is_logged_with_its_verb_and_whose_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    told = asked(raising(SadExpired("SAD")), activation_id="a" * 26)
    assert told["error"]["name"] == "SadExpired"
    record = vars(caplog.records[0])
    assert (record["verb"], record["activation_id"], record["error"]) == (
        "sign",
        "a" * 26,
        "SadExpired",
    )


def test_a_fault_of_the_node_ends_the_worker() -> None:
    with pytest.raises(HsmFault):
        asked(raising(HsmFault("broken")))


@pytest.mark.parametrize("request_line", [b"", b"[]", b"{}", b'{"id":7,"verb":"sign","args":[]}'])
def test_a_line_that_is_no_request_is_bad_input(request_line: bytes) -> None:
    told = json.loads(worker.answer({"sign": raising(HsmFault())}, request_line))
    assert told["error"]["name"] == "InvalidInput"
