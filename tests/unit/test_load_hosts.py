"""Several hosts behind a balancer, and a token that answers late."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, cast

import pytest

from loadtests import accounting, hosts, slow_token
from loadtests.hosts import Balancer, Host
from loadtests.options import Options
from loadtests.place import Needs
from loadtests.programs import ProgramFailed
from loadtests.recorder import Answer, Recorder, Steps
from loadtests.site import Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PAIR = [Host(1, 8001, 9001), Host(2, 8002, 9002)]
# A module whose C_Sign and C_UnwrapKey answer a number of their own; so does every other function.
TRUE_MODULE = """
typedef unsigned long word;
static word answer(void) { return 7; }
static struct { unsigned char version[2]; word (*functions[68])(void); } list = { { 2, 40 } };
word C_GetFunctionList(void **found)
{
    for (int at = 0; at < 68; at++)
        list.functions[at] = answer;
    *found = &list;
    return 0;
}
"""
SIGN, UNWRAP_KEY, ENCRYPT, FUNCTIONS = 43, 61, 29, 68


class List(ctypes.Structure):
    """CK_FUNCTION_LIST (PKCS#11 v2.40)."""

    _fields_ = (("version", ctypes.c_ubyte * 2), ("functions", ctypes.c_void_p * FUNCTIONS))


class Http:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def send(
        self, step: str, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        del step, method, headers, body
        self.asked.append(url)
        return Answer(200, {}, b"")


def test_requests_go_to_the_hosts_in_turn_and_to_others_as_they_are() -> None:
    http, recorder = Http(), Recorder(0, time.time() + 10)
    steps = Steps(http, recorder, Balancer(hosts.behind(PAIR)))
    for url in (
        "http://127.0.0.1:8001/oauth2/token?x=http://127.0.0.1:8001",
        "http://127.0.0.1:8001/csc/v2/info",
        "http://localhost:9001/requests/a",
        "http://127.0.0.1:80010/elsewhere",
        "http://127.0.0.1:8001/csc/v2/info",
        "http://localhost:9001/requests/a",
    ):
        steps.send("x", "GET", url)
    assert http.asked == [
        "http://127.0.0.1:8001/oauth2/token?x=http://127.0.0.1:8001",
        "http://127.0.0.1:8002/csc/v2/info",
        "http://localhost:9001/requests/a",
        "http://127.0.0.1:80010/elsewhere",
        "http://127.0.0.1:8001/csc/v2/info",
        "http://localhost:9002/requests/a",
    ]
    assert hosts.behind(PAIR[:1]) == {}


def test_busy_host_is_given_nothing_while_another_is_free() -> None:
    balancer = Balancer(hosts.behind(PAIR))
    url = "http://127.0.0.1:8001/csc/v2/info"
    first, second = (f"http://127.0.0.1:{port}/csc/v2/info" for port in (8001, 8002))
    with balancer.at(url) as slow:
        assert slow == first
        for _ in range(3):
            with balancer.at(url) as quick:
                assert quick == second
        with balancer.at(url), balancer.at(url) as third:
            assert third == first  # as busy as the other, and given nothing for longer
        with pytest.raises(ValueError, match="broke"), balancer.at(url):
            raise ValueError("broke")
        with balancer.at(url) as again:
            assert again == second  # what broke is not under way any more


def test_hosts_have_files_and_ports_of_their_own_and_one_name(tmp_path: Path) -> None:
    site = Site(Options("batch", kept=tmp_path, hosts=2, nodes=2, sam_workers=3), Needs())
    first, second = site.hosts
    ports = {first.rssp, first.consent, second.rssp, second.consent}
    assert len(ports) == 4
    assert (site.issuer, site.consent) == first.addresses
    assert site.worker_count == 12
    assert (first.named("rssp"), second.named("rssp")) == ("rssp", "rssp@2")


def test_programs_of_all_hosts_are_one_role() -> None:
    me = os.getpid()
    alone = accounting.usage({"rssp": me})["rssp"].processes
    both = accounting.usage({"rssp": me, "rssp@2": me})
    assert set(both) == {"rssp"}
    assert both["rssp"].processes == 2 * alone


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The slow module, and one to stand before."""
    folder = tmp_path_factory.mktemp("modules")
    source, true = folder / "true.c", folder / "true.so"
    source.write_text(TRUE_MODULE, "utf-8")
    compiler = shutil.which("cc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(true), str(source)], check=True)
    return slow_token.build(folder), true


def functions_of(module: Path) -> list[int]:
    """Addresses, as who loads the module finds them."""
    found = ctypes.POINTER(List)()
    library = ctypes.CDLL(str(module))
    assert library.C_GetFunctionList(ctypes.byref(found)) == 0
    return [cast("int", each) for each in found.contents.functions]


def test_slow_token_waits_for_signing_and_unwrapping_only(
    modules: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, true = modules
    node = {"module": str(true), "environment": {"SOFTHSM2_CONF": "x"}, "workers": 2}
    table = slow_token.before(node, slow, 40)
    assert table | {"module": str(true), "environment": node["environment"]} == node
    for name, value in cast("dict[str, str]", table["environment"]).items():
        monkeypatch.setenv(name, value)
    through, own = functions_of(slow), functions_of(true)
    changed = [at for at in range(FUNCTIONS) if through[at] != own[at]]
    assert changed == [SIGN, UNWRAP_KEY]
    call = ctypes.CFUNCTYPE(ctypes.c_ulong, *[ctypes.c_void_p] * 8)
    seconds = []
    for at, signature in ((SIGN, 1), (SIGN, None), (UNWRAP_KEY, 1), (ENCRYPT, 1)):
        begun = time.monotonic()
        assert call(through[at])(1, 1, 1, signature, 1, 1, 1, 1) == 7  # its true answer
        seconds.append(time.monotonic() - begun)
    assert min(seconds[0], seconds[2]) >= 0.04
    # To be asked how long a signature will be takes no time, nor does anything else.
    assert max(seconds[1], seconds[3]) < min(seconds[0], seconds[2])


def test_slow_token_without_a_module_behind_it_says_so(modules: tuple[Path, Path]) -> None:
    load = (
        "import ctypes, sys; found = ctypes.c_void_p();"
        " print(ctypes.CDLL(sys.argv[1]).C_GetFunctionList(ctypes.byref(found)))"
    )
    for environment in ({}, {"SLOW_TOKEN_MODULE": "/nowhere.so", "SLOW_TOKEN_MS": "5"}):
        done = subprocess.run(
            [sys.executable, "-c", load, str(modules[0])],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "5"  # CKR_GENERAL_ERROR


def test_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramFailed, match="build-essential"):
        slow_token.build(tmp_path)


def test_source_that_does_not_compile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "slow_token.c"
    broken.write_text("int main(", "utf-8")
    monkeypatch.setattr(slow_token, "SOURCE", broken)
    with pytest.raises(ProgramFailed, match="error"):
        slow_token.build(tmp_path)
