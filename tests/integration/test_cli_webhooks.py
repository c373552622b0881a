"""``remote-signing webhook …`` as an operator types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from remote_signing import cli
from remote_signing.rssp import activation
from remote_signing.rssp.activation import Channel
from remote_signing.rssp.models import webhook_delivery
from tests.support.sam import toml
from tests.support.world import PORTAL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.world import World

ADDRESS = "http://127.0.0.1:9/hooks"


class Operator:
    """Types words; reads what comes back."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys

    def type(self, *words: str, status: int = 0) -> str:
        self._capsys.readouterr()
        assert cli.main(["--config", str(self._folder), "webhook", *words]) == status
        told = self._capsys.readouterr()
        return told.out or told.err

    def json(self, *words: str) -> Any:
        return json.loads(self.type(*words, "--json"))


@pytest.fixture
def operator(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    tables: dict[str, dict[str, object]] = {
        "service": {"name": "Ký số", "logo": "https://x/x.png", "region": "VN", "description": "x"},
        "urls": {"issuer": "http://127.0.0.1:1", "consent": "http://127.0.0.1:2"},
        "database": {"url": world.services.config.database.url},
        "sam": {"socket": "sap.sock"},
        "asynchronous": {"callback_networks": ["127.0.0.0/8"]},
        "webhooks": {"key_files": ["webhooks.key"]},
    }
    lines: list[str] = []
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{name} = {toml(value)}" for name, value in values.items())]
    (tmp_path / "rssp.toml").write_text("\n".join(lines), encoding="utf-8")
    made = Operator(tmp_path, capsys)
    made.type("new-key", str(tmp_path / "webhooks.key"))
    return made


def test_secrets_are_told_once_changed_without_a_gap_and_ended(
    operator: Operator, tmp_path: Path
) -> None:
    first = operator.json("set", PORTAL, "--url", ADDRESS)
    assert first["secret"].startswith("whsec_")
    assert "secret" not in operator.json("set", PORTAL, "--url", f"{ADDRESS}/2")
    assert "one secret only" in operator.type("end-secret", PORTAL, status=1)
    file = tmp_path / "secret.json"
    told = operator.json("add-secret", PORTAL, "--secret-file", str(file))
    assert told == {"client_id": PORTAL, "secrets_file": str(file)}
    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text("utf-8"))["secret"] != first["secret"]
    (line,) = operator.json("list")
    assert line == {"client_id": PORTAL, "url": f"{ADDRESS}/2", "secrets": 2, "failures": 0}
    operator.type("end-secret", PORTAL)
    assert operator.json("list")[0]["secrets"] == 1
    operator.type("remove", PORTAL)
    assert operator.json("list") == []
    assert "told nothing" in operator.type("remove", PORTAL, status=1)


def test_what_is_dead_is_seen_and_waits_again(world: World, operator: Operator) -> None:
    operator.type("set", PORTAL, "--url", ADDRESS)
    name = world.opened(channel=Channel.DECOUPLED, redirect_uri=None)
    activation.deny(world.services, world.session, name)
    dead = {"state": "DEAD", "due_at": None, "cause": "HTTP 500", "settled_at": 1}
    world.database.run(update(webhook_delivery).values(dead))
    (line,) = operator.json("dead", "--client", PORTAL)
    assert (line["outcome"], line["cause"]) == ("DENIED", "HTTP 500")
    assert operator.json("dead", "--after", line["id"]) == []
    operator.type("requeue", status=2)
    operator.type("requeue", "x", status=1)
    assert "1 waiting again" in operator.type("requeue", line["id"])
    assert operator.json("dead") == []
    operator.type("requeue", "--client", PORTAL, status=1)


def test_a_mistake_is_told_in_words(operator: Operator, tmp_path: Path) -> None:
    operator.type("set", "nobody", "--url", ADDRESS, status=2)
    assert "url" in operator.type("set", PORTAL, "--url", "http://10.0.0.1/", status=2)
    operator.type("new-key", str(tmp_path / "webhooks.key"), status=2)
