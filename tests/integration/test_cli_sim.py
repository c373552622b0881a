"""``remote-signing sim`` as a registration officer types it: a real SAM, and octets to the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remote_signing.cli import serve
from remote_signing.cli.settings import ConfigFolder
from remote_signing.rssp.registration import RegistrationAuthority
from remote_signing.rssp.sim_client import Outcome, Profile, SimAdapter
from tests.integration.test_cli import Desk
from tests.support.sam import toml
from tests.support.sim_chain import BEARER, running_adapter, running_operator, unused_address
from tests.support.sim_world import CALLBACK_SECRET, PKCS1, SIM_SAM, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sam import RunningSam

NAME = "an.nguyen"


@pytest.fixture(scope="module")
def authority_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ra") / "ra.key"
    RegistrationAuthority.create(path)
    return path


@pytest.fixture(scope="module")
def sam(authority_key: Path, sam_factory: Callable[..., RunningSam]) -> RunningSam:
    authority = RegistrationAuthority.load(authority_key)
    pinned = {authority.key_id: authority.public_key}
    return sam_factory(workers=1, pinned=pinned, sim=SIM_SAM)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("chain")
    with (
        running_operator(folder) as (_, mssp),
        running_adapter(folder, mssp, format=PKCS1) as rssp,
    ):
        yield str(rssp.http.base_url).rstrip("/")


@pytest.fixture
def desk(  # noqa: PLR0913, PLR0917 - one argument for each fixture
    migrated_database_url: str,
    sam: RunningSam,
    adapter: str,
    authority_key: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    write_rssp(tmp_path, migrated_database_url, sam, {"url": adapter})
    for name, text in (
        ("ra.key", authority_key.read_text("utf-8")),
        ("bearer", BEARER),
        ("callback", CALLBACK_SECRET),
        ("password", "một mật khẩu đủ dài\n"),
    ):
        (tmp_path / name).write_text(text, "utf-8")
        (tmp_path / name).chmod(0o600)
    desk = Desk(tmp_path, capsys)
    desk.type("agency", "add", "Bộ Nội vụ", "--code", "G09")
    desk.type(
        *("subscriber", "add", NAME, "--agency", "G09", "--name", "Nguyễn Văn An"),
        *("--password-file", str(tmp_path / "password")),
    )
    return desk


def write_rssp(folder: Path, url: str, sam: RunningSam, sim: dict[str, object]) -> None:
    usual = {
        "secret_file": "bearer",
        "callback_secret_files": ["callback"],
        "relying_party": "Bộ Nội vụ",
    }
    tables: dict[str, dict[str, object]] = {
        "service": {"name": "Ký số", "logo": "https://x/x.png", "region": "VN", "description": "x"},
        "urls": {"issuer": "http://127.0.0.1:1", "consent": "http://127.0.0.1:2"},
        "database": {"url": url},
        "sam": {"socket": sam.address.path},
        "sim": usual | sim,
    }
    text = ""
    for name, members in tables.items():
        text += f"[{name}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in members.items())
    (folder / "rssp.toml").write_text(text, "utf-8")


def test_a_sim_is_enrolled_shown_checked_suspended_and_resumed(desk: Desk) -> None:
    its_id = desk.json("credential", "issue", NAME)["credential_id"]
    msisdn = number()
    enrolled = desk.json("sim", "enrol", its_id, "--msisdn", msisdn)
    factor = enrolled["factor_id"]
    (row,) = desk.json("sim", "show", its_id)
    assert (row["msisdn"], row["state"], row["mode"]) == (msisdn, "active", "structure")
    assert f"sim {factor}" in desk.json("credential", "show", its_id)["factors"]
    desk.type("sim", "check", factor)
    desk.type("sim", "suspend", factor, "--reason", "lost")
    assert desk.json("sim", "show", its_id)[0]["reason"] == "lost"
    assert "already" in desk.type("sim", "suspend", factor, status=1)
    desk.type("sim", "resume", factor)
    desk.type("credential", "drop-factor", its_id, factor)
    assert desk.json("sim", "show", its_id) == []
    assert "no SIM has consented" in desk.type("sim", "evidence", factor, "e.json", status=1)
    assert desk.kinds(its_id)[-5:] == [
        *("credential.factors_added", "sim.suspended", "sim.resumed"),
        *("credential.ordered", "credential.factor_dropped"),
    ]
    # A replaced SIM, or one that is enrolled again: a new factor with a new key.
    again = desk.json("sim", "enrol", its_id, "--msisdn", msisdn, "--replace")
    assert again["factor_id"] != factor


def test_a_sim_whose_holder_is_not_there_is_not_enrolled(
    desk: Desk, migrated_database_url: str, sam: RunningSam, adapter: str
) -> None:
    its_id = desk.json("credential", "issue", NAME)["credential_id"]
    told = desk.type("sim", "enrol", its_id, "--msisdn", "84123456789", status=1)
    assert "operator_unknown" in told
    assert desk.json("sim", "show", its_id) == []
    write_rssp(desk.folder, migrated_database_url, sam, {"url": unused_address()})
    told = desk.type("sim", "enrol", its_id, "--msisdn", number(), status=3)
    assert "SimAdapterAway" in told
    assert adapter


def test_a_check_that_nobody_answers_says_so(
    desk: Desk, migrated_database_url: str, sam: RunningSam, monkeypatch: pytest.MonkeyPatch
) -> None:
    its_id = desk.json("credential", "issue", NAME)["credential_id"]
    factor = desk.json("sim", "enrol", its_id, "--msisdn", number())["factor_id"]
    outcome = Outcome("UNABLE_TO_PROVIDE_SERVICES", "")
    silent = Profile("op", outcome, is_known=False, iccid=None, network=None, leaves=())
    with monkeypatch.context() as patched:
        patched.setattr(SimAdapter, "profile", lambda *_: silent)
        assert "UNABLE_TO_PROVIDE" in desk.type("sim", "check", factor, status=3)
    write_rssp(desk.folder, migrated_database_url, sam, {"url": unused_address()})
    assert "SimAdapterAway" in desk.type("sim", "check", factor, status=3)
    text = (desk.folder / "rssp.toml").read_text("utf-8").partition("[sim]")[0]
    (desk.folder / "rssp.toml").write_text(text, "utf-8")
    assert "no table [sim]" in desk.type("sim", "check", factor, status=3)
    assert desk.json("sim", "show", its_id)[0]["state"] == "active"


def test_serve_starts_the_adapter_before_the_rssp_where_it_is_configured(tmp_path: Path) -> None:
    folder = ConfigFolder(tmp_path)
    names = [program.name for program in serve.programs_of(folder)]
    assert "sim_adapter" not in names
    folder.sim_file.write_text("", "utf-8")
    names = [program.name for program in serve.programs_of(folder)]
    assert names == ["remote_signing.sam", "sim_adapter", "remote_signing.rssp", "consent_app"]
    assert serve.programs_of(folder)[1].ready_url == "http://127.0.0.1:8402/readyz"


@pytest.mark.parametrize(
    ("sim_toml", "told"),
    [
        ("[callback]\nurl = 'x'\n", None),
        (None, None),
        ("[listen]\n", "sim.toml has no table [callback]"),
        ("[", "sim.toml: "),
    ],
    ids=["right", "on another machine", "no call-backs", "no TOML"],
)
def test_config_check_compares_the_three_that_speak_of_sims(
    desk: Desk, sam: RunningSam, sim_toml: str | None, told: str | None
) -> None:
    (desk.folder / "sam.toml").write_bytes(sam.config_file.read_bytes())
    (desk.folder / "consent.toml").write_text('[public]\nurl = "http://127.0.0.1:2"\n', "utf-8")
    if sim_toml is not None:
        (desk.folder / "sim.toml").write_text(sim_toml, "utf-8")
    if told is None:
        desk.type("config", "check")
    else:
        assert told in desk.type("config", "check", status=2)
    (desk.folder / "bearer").chmod(0o604)
    assert "rssp.toml: sim" in desk.type("config", "check", status=2)
    text = (desk.folder / "rssp.toml").read_text("utf-8").partition("[sim]")[0]
    (desk.folder / "rssp.toml").write_text(text, "utf-8")
    if sim_toml is not None:
        assert "no table [sim]" in desk.type("config", "check", status=2)
