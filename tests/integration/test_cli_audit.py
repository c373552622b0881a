"""``remote-signing audit show`` as an operator types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from remote_signing import cli
from remote_signing.clock import as_datetime
from tests.support.sam import toml

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.world import World


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    tables: dict[str, dict[str, object]] = {
        "service": {"name": "Ký số", "logo": "https://x/x.png", "region": "VN", "description": "x"},
        "urls": {"issuer": "http://127.0.0.1:1", "consent": "http://127.0.0.1:2"},
        "database": {"url": world.services.config.database.url},
        "sam": {"socket": "sap.sock"},
    }
    lines: list[str] = []
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{name} = {toml(value)}" for name, value in values.items())]
    (tmp_path / "rssp.toml").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def shown(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()
    assert cli.main(["--config", str(folder), "audit", "show", "--json", *words]) == 0
    return [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]


def test_events_are_picked_by_signer_credential_and_time(
    world: World, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = as_datetime(world.clock.now_ms())
    waiting = world.opened()
    asked = ["activation.requested", "request.opened"]
    local = begun.isoformat()
    bare = begun.replace(tzinfo=None).isoformat()
    assert shown(folder, capsys, "--since", local) == asked
    assert shown(folder, capsys, "--since", bare, "--activation", waiting) == asked
    assert shown(folder, capsys, "--until", bare)[0] == "agency.registered"
    assert shown(folder, capsys, "--subscriber", "an.nguyen")[0] == "subscriber.registered"
    by_id = shown(folder, capsys, "--subscriber", world.subscriber_id)
    assert by_id == shown(folder, capsys, "--subscriber", "an.nguyen")
    of_credential = shown(folder, capsys, "--credential", world.credential_id)
    assert of_credential == by_id[1:]


def test_a_time_that_is_none_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--config", str(folder), "audit", "show", "--since", "yesterday"]) == 2
    assert "yesterday" in capsys.readouterr().err
