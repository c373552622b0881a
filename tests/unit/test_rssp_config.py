"""The configuration file: what is missing, unknown or unsafe is refused with the key's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remote_signing.rssp.config import ProxyConfig, RsspConfig, load, read
from remote_signing.rssp.config_tables import ConfigInvalid

MINIMAL = """
[service]
name = "Ký số từ xa"
logo = "https://rssp.example/logo.png"
region = "VN"
description = "Dịch vụ ký số từ xa"
[urls]
issuer = "https://rssp.example"
consent = "https://consent.example"
[database]
url = "sqlite:////var/lib/rssp/rssp.sqlite3"
[sam]
socket = "run/sap.sock"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rssp.toml"
    path.write_text(text, "utf-8")
    return path


def loaded(tmp_path: Path, text: str = MINIMAL) -> RsspConfig:
    return load(write(tmp_path, text))


def test_the_least_configuration_is_enough(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert config.urls.issuer == "https://rssp.example"
    assert config.policy.attempt_limit == 5
    assert config.lifetimes.code == 60
    assert config.sam.timeout == 25.0
    assert config.database.password() is None


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    assert loaded(tmp_path).sam.socket == tmp_path / "run/sap.sock"


def test_a_password_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("mật khẩu\n", "utf-8")
    text = MINIMAL.replace("[sam]", 'password_file = "password"\n[sam]')
    text = text.replace("sqlite:////var/lib/rssp/rssp.sqlite3", "postgresql+psycopg://rssp@db/rssp")
    assert loaded(tmp_path, text).database.password() == "mật khẩu"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('region = "VN"', "", "service.region: is missing"),
        ("[urls]", "[urls]\nport = 1", "urls.port: there is no such key"),
        ("[urls]", "[typo]\n[urls]", "typo: there is no such key"),
        ('region = "VN"', "region = 84", "service.region: 84 is not of type str"),
        ("[sam]", "[sam]\nport = true", "sam.port: True is not of type int"),
        ("[sam]", "[sam]\ntimeout = false", "sam.timeout: False is not of type float"),
        ("[sam]", "[sam]\nca = 7", "sam.ca: 7 is not of type Path"),
        ("[sam]", '[sam]\nhost = "sam.example"', "sam: name either socket or host"),
        ('socket = "run/sap.sock"', 'host = "sam.example"', "sam: ca, certificate and key"),
        ('https://rssp.example"\nconsent', 'http://rssp.example"\nconsent', "urls.issuer"),
        ("https://consent.example", "https://consent.example/", "urls.consent"),
        ("https://consent.example", "https://consent.example?x=1", "urls.consent"),
        ("https://consent.example", "https://", "urls.consent"),
        ("[sam]", "[lifetimes]\ncode = 61\n[sam]", "lifetimes.code: 61"),
        ("[sam]", "[lifetimes]\nsession = 0\n[sam]", "lifetimes.session: 0"),
        ("[sam]", "[lifetimes]\nretention = 599\n[sam]", "lifetimes.retention: 599"),
        ("[sam]", "[lifetimes]\nsigning = 50\n[sam]", "lifetimes.signing: 50"),
        ("[sam]", "[sam]\ntimeout = 30", "lifetimes.signing: 60 is not more than twice"),
        ("[sam]", 'password_file = "p"\n[sam]', "database.password_file"),
        ("[sam]", '[proxy]\ntrusted = ["10.0.0.300"]\n[sam]', "proxy.trusted"),
        ("[sam]", "[proxy]\ntrusted = [1]\n[sam]", "proxy.trusted: 1 is not of type str"),
        ("sqlite:////var", "postgresql+psycopg://rssp:secret@db/rssp?x=/var", "password_file"),
        ("[service]", "[service", "Expected"),
        ("[sam]", '[validation]\ntrust = "nowhere"\n[sam]', "validation.trust"),
        ("[sam]", "[validation]\nworkers = -1\n[sam]", "validation: workers"),
        ("[sam]", '[attachments]\nfolder = "a"\npages = 0\n[sam]', "attachments.pages"),
    ],
)
def test_a_mistake_is_told_with_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in MINIMAL
    with pytest.raises(ConfigInvalid) as refusal:
        loaded(tmp_path, MINIMAL.replace(old, new))
    assert told in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        load(tmp_path / "none.toml")


def test_plain_http_is_for_loopback_only(tmp_path: Path) -> None:
    text = MINIMAL.replace("https://consent.example", "http://127.0.0.1:8401")
    assert loaded(tmp_path, text).urls.consent == "http://127.0.0.1:8401"


def test_a_sam_on_another_host_needs_its_certificates(tmp_path: Path) -> None:
    remote = (
        'host = "sam.example"\nca = "ca.pem"\ncertificate = "c.pem"\nkey = "k.pem"\ntimeout = 5'
    )
    config = loaded(tmp_path, MINIMAL.replace('socket = "run/sap.sock"', remote))
    assert (config.sam.host, config.sam.ca) == ("sam.example", tmp_path / "ca.pem")
    assert config.sam.timeout == 5.0


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("::1", True),
        (None, False),
        ("testclient", False),
    ],
)
def test_only_the_proxys_addresses_are_trusted(address: str | None, trusted: object) -> None:
    proxy = ProxyConfig(trusted=("10.1.0.0/16", "::1"))
    assert proxy.trusts(address) is trusted


def test_a_table_may_come_as_members() -> None:
    members: dict[str, Any] = {"service": "no table"}
    with pytest.raises(ConfigInvalid, match="service: 'no table' is not of type ServiceConfig"):
        read(members, Path())


SIM = '[sim]\nurl = "https://sim.example"\nsecret_file = "bearer"\nrelying_party = "Bộ Nội vụ"\n'


def test_a_table_of_sims_names_files_and_has_the_usual_rest(tmp_path: Path) -> None:
    file = tmp_path / "rssp.toml"
    file.write_text(f'{MINIMAL}\n{SIM}crl_files = ["a.crl"]\n', encoding="utf-8")
    sim = load(file).sim
    assert sim is not None
    assert (sim.mode, sim.crl_files) == ("structure", (tmp_path / "a.crl",))
    (tmp_path / "bearer").write_text("a secret\n", encoding="utf-8")
    assert sim.read_secret() == "a secret"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("https://sim.example", "http://sim.example", "sim.url"),
        ("https://sim.example", "https://sim.example/", "sim.url"),
        ("Bộ Nội vụ", "x" * 41, "sim.relying_party"),
        ("[sim]", '[sim]\nmode = "code"', "sim.mode"),
        ("[sim]", "[sim]\npatience = 0", "sim: timeout and patience"),
        ("[sim]", '[sim]\ncrl_files = ["a", "b", "c"]', "crl_files at most two"),
        ("[sim]", "[sim]\ncrl_files = [1]", "sim.crl_files: 1 is not of type Path"),
    ],
)
def test_a_wrong_table_of_sims_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    file = tmp_path / "rssp.toml"
    file.write_text(f"{MINIMAL}\n{SIM.replace(old, new)}", encoding="utf-8")
    with pytest.raises(ConfigInvalid) as refused:
        load(file)
    assert told in str(refused.value)
