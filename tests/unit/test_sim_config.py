from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from sim_adapter import __main__ as program
from sim_adapter import config
from sim_adapter.config import ConfigInvalid

EXAMPLE = Path(__file__).parents[2] / "docs" / "sim-operators.example.toml"


def members(**changes: Any) -> dict[str, Any]:
    return {
        "database": {"url": "sqlite:///adapter.sqlite3"},
        "api": {"secret_files": ["bearer"]},
        "operators": [{"name": "one", "url": "https://mssp.example", "ap_id": "urn:ap"}],
        **changes,
    }


def operator(**changes: Any) -> dict[str, Any]:
    row = {"name": "one", "url": "https://mssp.example", "ap_id": "urn:ap", **changes}
    return members(operators=[row])


def test_the_example_is_a_configuration() -> None:
    loaded = config.load(EXAMPLE)
    assert {item.wire for item in loaded.operators} == {"soap", "json"}
    assert {item.mode for item in loaded.operators} == {
        "synch",
        "asynchClientServer",
        "asynchServerServer",
    }


def test_the_example_shows_every_key_of_an_operator() -> None:
    shown = EXAMPLE.read_text(encoding="utf-8")
    keys = config.OperatorConfig.__dataclass_fields__
    assert [
        key for key in keys if f"\n{key} = " not in shown and f"\n# {key} = " not in shown
    ] == []
    assert tomllib.loads(shown)


def test_little_is_needed(tmp_path: Path) -> None:
    loaded = config.read(members(), tmp_path)
    assert loaded.api.secret_files == (tmp_path / "bearer",)
    (row,) = loaded.operators
    assert (row.wire, row.mode) == ("soap", "asynchClientServer")
    assert (row.text_limits.ucs2, row.text_limits.gsm7) == (119, 239)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no operator": (members(operators=[]), "operators"),
    "two of a name": (members(operators=operator()["operators"] * 2), "operators"),
    "an unknown table": (members(also={}), "also: there is no such key"),
    "an unknown key": (operator(colour="red"), r"operators\[0\].colour"),
    "a missing key": (members(operators=[{"name": "one"}]), r"operators\[0\].url: is missing"),
    "another type": (operator(poll="often"), r"operators\[0\].poll"),
    "a list of another type": (members(api={"secret_files": [1]}), "api.secret_files"),
    "no secret": (members(api={"secret_files": []}), "api.secret_files"),
    "http elsewhere": (operator(url="http://mssp.example"), "operators.one.url"),
    "a user in the URL": (operator(url="https://a:b@mssp.example"), "operators.one.url"),
    "an unknown wire": (operator(wire="fax"), "operators.one.wire"),
    "an unknown mode": (operator(mode="whenever"), "operators.one.mode"),
    "half a key pair": (operator(certificate="ap.pem"), "belong together"),
    "a call to nowhere": (operator(mode="asynchServerServer"), "notification_url"),
    "a prefix with a plus": (operator(prefixes=["+84"]), "prefixes"),
    "a prefix that phones do not show": (operator(text_prefix="Ky\tso: "), "text_prefix"),
    "a prefix and no room": (operator(text_prefix="Ky so dien tu: " * 2), "48 characters"),
    "no room": (operator(text_ucs2=40), "48 characters"),
    "no patience": (operator(timeout=0), "above zero"),
    "a password in the URL": (
        members(database={"url": "postgresql+psycopg://u:p@h/d"}),
        "holds a password",
    ),
    "a call-back over http": (
        members(callback={"url": "http://rssp.example/x", "secret_files": ["x"]}),
        "callback.url",
    ),
    "a call-back without a secret": (
        members(callback={"url": "https://rssp.example/x", "secret_files": []}),
        "callback.secret_files",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_amiss_is_named(tmp_path: Path, name: str) -> None:
    given, told = BAD[name]
    with pytest.raises(ConfigInvalid, match=told):
        config.read(given, tmp_path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        config.load(tmp_path / "nothing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("a =", encoding="utf-8")
    with pytest.raises(ConfigInvalid):
        config.load(broken)
    for secret in (tmp_path / "nothing", broken.with_name("empty")):
        if secret.name == "empty":
            secret.write_text("\n", encoding="utf-8")
        with pytest.raises(ConfigInvalid):
            config.read_secret(secret)


def test_the_program_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--config", str(tmp_path / "nothing.toml")]) == 2
    assert "nothing.toml" in capsys.readouterr().err


def test_a_password_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret\n", encoding="utf-8")
    given = members(database={"url": "sqlite:///x", "password_file": "pw"})
    assert config.read(given, tmp_path).database.password() == "s3cret"
