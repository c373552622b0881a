"""Logging in to a token: one PIN attempt, one process at a time, and the right token."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass, TokenFlag

from remote_signing.errors import HsmFault
from remote_signing.sam.hsm import Node
from remote_signing.sam.hsm import session as session_module
from remote_signing.sam.hsm.counter import make_counter, raise_counter, read_counter
from remote_signing.sam.hsm.custody import Custody
from remote_signing.sam.hsm.session import TokenSession
from remote_signing.sam.hsm.templates import (
    CLUSTER_KEYS,
    Templates,
    check_attributes,
    is_true,
    kept_attributes,
    knows,
)
from tests.support.cluster import node_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remote_signing.sam.config import NodeConfig
    from remote_signing.sam.softhsm import DevelopmentToken

CLUSTER = "0" * 26


@pytest.fixture(autouse=True)
def environment_kept() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def token(make_tokens: Callable[[int], list[DevelopmentToken]]) -> DevelopmentToken:
    return make_tokens(1)[0]


@pytest.fixture
def config(token: DevelopmentToken) -> NodeConfig:
    return node_config(token)


@pytest.fixture
def session(config: NodeConfig, tmp_path: Path) -> Iterator[TokenSession]:
    with TokenSession.open(config, tmp_path) as opened:
        yield opened


def count_log_ins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call that would reach C_Login."""
    calls: list[str] = []
    original = TokenSession.__init__

    def counted(self: TokenSession, name: str, *rest: object) -> None:
        calls.append(name)
        original(self, name, *rest)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(TokenSession, "__init__", counted)
    return calls


def test_a_wrong_pin_is_tried_once_until_an_operator_removes_the_breaker(
    config: NodeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = config.pin_file.read_text()
    config.pin_file.write_text("not the PIN\n")
    log_ins = count_log_ins(monkeypatch)
    with pytest.raises(HsmFault, match="PinIncorrect"):
        TokenSession.open(config, tmp_path)
    config.pin_file.write_text(right)
    for _ in range(3):
        with pytest.raises(HsmFault, match="refused the PIN before"):
            TokenSession.open(config, tmp_path)
    assert len(log_ins) == 1
    breaker = tmp_path / f"{config.name}.pin-refused"
    assert "PinIncorrect" in breaker.read_text()
    breaker.unlink()
    with TokenSession.open(config, tmp_path) as session:
        assert session.description()["label"] == config.token_label
    assert len(log_ins) == 2


@pytest.mark.parametrize("flag", [TokenFlag.USER_PIN_LOCKED, TokenFlag.USER_PIN_FINAL_TRY])
def test_no_pin_is_tried_on_a_token_that_is_locked_or_about_to_be(
    config: NodeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: TokenFlag
) -> None:
    # SoftHSM never locks; the mask is widened to a flag that it does show.
    assert session_module._LAST_CHANCE & flag  # noqa: SLF001 - what the test is about
    monkeypatch.setattr(session_module, "_LAST_CHANCE", TokenFlag.TOKEN_INITIALIZED)
    log_ins = count_log_ins(monkeypatch)
    with pytest.raises(HsmFault, match="none is tried"):
        TokenSession.open(config, tmp_path)
    assert log_ins == []
    assert not list(tmp_path.glob("*.pin-refused"))


def test_a_pin_file_that_everybody_can_read_is_refused(config: NodeConfig, tmp_path: Path) -> None:
    config.pin_file.chmod(0o604)
    with pytest.raises(HsmFault, match="everybody"):
        TokenSession.open(config, tmp_path)


def test_a_missing_pin_file_is_a_fault(config: NodeConfig, tmp_path: Path) -> None:
    config.pin_file.unlink()
    with pytest.raises(HsmFault, match="PIN file"):
        TokenSession.open(config, tmp_path)


def test_a_missing_folder_for_the_lock_is_a_fault(config: NodeConfig, tmp_path: Path) -> None:
    with pytest.raises(HsmFault, match="start-up lock"):
        TokenSession.open(config, tmp_path / "none")


def test_a_missing_module_is_a_fault(config: NodeConfig, tmp_path: Path) -> None:
    missing = config.model_copy(update={"module": tmp_path / "none.so"})
    with pytest.raises(HsmFault, match=r"none\.so"):
        TokenSession.open(missing, tmp_path)


def test_a_token_of_another_name_is_not_opened(config: NodeConfig, tmp_path: Path) -> None:
    other = config.model_copy(update={"token_label": "node-9"})
    with pytest.raises(HsmFault, match="0 tokens are called node-9"):
        TokenSession.open(other, tmp_path)


def test_closing_lets_the_process_open_another_node(
    make_tokens: Callable[[int], list[DevelopmentToken]], tmp_path: Path
) -> None:
    serials = set()
    for token in make_tokens(2):
        with TokenSession.open(node_config(token), tmp_path) as session:
            serials.add(session.description()["serial"])
    assert len(serials) == 2


def test_closing_a_session_whose_token_is_gone_is_no_error(
    config: NodeConfig, tmp_path: Path, token: DevelopmentToken
) -> None:
    session = TokenSession.open(config, tmp_path)
    store = token.pin_file.parent / "tokens"
    store.rename(store.with_name("gone"))
    session.close()


def test_a_token_without_the_clusters_keys_is_no_node(config: NodeConfig, tmp_path: Path) -> None:
    with pytest.raises(HsmFault, match="0 of the secret key rs-kek"):
        Node.open(config, tmp_path)
    with TokenSession.open(config, tmp_path) as session:
        assert Custody(session).held() == []


def test_two_keys_of_one_label_are_a_fault(session: TokenSession) -> None:
    for _ in range(2):
        session.raw.generate_key(KeyType.AES, 256, label="twice")
    with pytest.raises(HsmFault, match="2 of the secret key twice"):
        session.one("twice", ObjectClass.SECRET_KEY)


def test_a_cluster_key_that_could_leave_its_token_is_refused(session: TokenSession) -> None:
    kek = CLUSTER_KEYS["rs-kek"]
    key = session.raw.generate_key(
        KeyType.AES, 256, capabilities=kek.use, template={Attribute.EXTRACTABLE: True}
    )
    with pytest.raises(HsmFault, match="TOKEN, EXTRACTABLE, MODIFIABLE"):
        check_attributes(key, kek.label, kept_attributes(kek))


def test_an_attribute_that_the_token_does_not_know_counts_as_false(session: TokenSession) -> None:
    key = session.raw.generate_key(KeyType.AES, 256, capabilities=MechanismFlag.WRAP)
    assert not knows(key, Attribute.MODULUS)
    assert not is_true(key, Attribute.MODULUS)
    assert is_true(key, Attribute.WRAP)
    assert not is_true(key, Attribute.UNWRAP)


def test_templates_leave_out_what_the_token_does_not_know() -> None:
    assert Attribute.COPYABLE in Templates(copyable=True).staying()
    assert Attribute.COPYABLE not in Templates(copyable=False).staying()
    assert Templates(copyable=True, trusted=True).leaving_signing()[Attribute.WRAP_WITH_TRUSTED]
    for template in (
        Templates(copyable=True).unwrapped_signing(),
        Templates(copyable=True).leaving_signing(),
    ):
        assert list(template)[-1] is Attribute.MODIFIABLE


def test_ten_processes_that_start_at_once_all_log_in(config: NodeConfig, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from remote_signing.sam.config import NodeConfig\n"
        "from remote_signing.sam.hsm.session import TokenSession\n"
        "TokenSession.open(NodeConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2])).close()"
    )
    command = [sys.executable, "-c", script, config.model_dump_json(), str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(10)]
    assert [process.wait(60) for process in processes] == [0] * 10


def test_a_vanished_token_is_a_fault_whatever_it_is_asked(
    session: TokenSession, token: DevelopmentToken
) -> None:
    make_counter(session, CLUSTER)
    raise_counter(session, 7)
    assert read_counter(session) == 7
    store = token.pin_file.parent / "tokens"
    store.rename(store.with_name("gone"))
    with pytest.raises(HsmFault):
        read_counter(session)
    store.with_name("gone").rename(store)


def test_a_counter_survives_a_process_that_died_while_raising_it(session: TokenSession) -> None:
    make_counter(session, CLUSTER, 3)
    make_counter(session, CLUSTER, 4)  # the new one was made, the old one not yet destroyed
    assert read_counter(session) == 4
    raise_counter(session, 5)
    assert len(session.all({Attribute.CLASS: ObjectClass.DATA})) == 1


def test_a_counter_raised_by_another_process_is_seen(
    session: TokenSession, config: NodeConfig, tmp_path: Path
) -> None:
    make_counter(session, CLUSTER, 3)
    script = (
        "import sys; from pathlib import Path\n"
        "from remote_signing.sam.config import NodeConfig\n"
        "from remote_signing.sam.hsm.counter import raise_counter\n"
        "from remote_signing.sam.hsm.session import TokenSession\n"
        "session = TokenSession.open(NodeConfig.model_validate_json(sys.argv[1]),"
        " Path(sys.argv[2]))\n"
        "raise_counter(session, 9); session.close()"
    )
    command = [sys.executable, "-c", script, config.model_dump_json(), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    assert read_counter(session) == 9


def test_a_token_without_its_counter_is_a_fault(session: TokenSession) -> None:
    with pytest.raises(HsmFault, match="lost its revocation counter"):
        read_counter(session)


def test_a_broken_slot_beside_the_token_is_skipped(
    config: NodeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BrokenSlot:
        def get_token(self) -> None:
            raise pkcs11.exceptions.DeviceError

    class Library:
        def __init__(self, real: object) -> None:
            self._real = real

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

        def get_slots(self, *, token_present: bool) -> list[object]:
            slots = self._real.get_slots(token_present=token_present)  # type: ignore[attr-defined]  # an untyped stand-in
            return [BrokenSlot(), *slots]

    real = pkcs11.lib
    monkeypatch.setattr(pkcs11, "lib", lambda path: Library(real(path)))
    with TokenSession.open(config, tmp_path) as session:
        assert session.token.label == config.token_label
