"""What a process is asked goes to no collector that its environment or another package names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

import consent_app.app
import remote_signing.rssp.app
import sim_adapter.app
from tests.support.consent_visitor import Visitor

if TYPE_CHECKING:
    from types import ModuleType

PROVIDER = "fastapi.telemetry._asgi.trace.get_tracer_provider"


class _Collector:
    def get_tracer(self, *_arguments: object, **_names: object) -> object:
        raise AssertionError("told of a request")


class _Made(Exception):
    """The framework was asked for an application with these options."""


def test_a_page_tells_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PROVIDER, _Collector)
    assert Visitor().get("/sign-in").status_code == 200
    visitor = Visitor()
    visitor.app = FastAPI()
    with pytest.raises(AssertionError, match="told of a request"):
        visitor.get("/sign-in")


@pytest.mark.parametrize("program", [consent_app.app, remote_signing.rssp.app, sim_adapter.app])
def test_every_program_says_so(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(**options: Any) -> FastAPI:
        raise _Made(options["telemetry"])

    monkeypatch.setattr(program, "FastAPI", made)
    monkeypatch.setattr(program, "open_services", lambda _config: None, raising=False)
    with pytest.raises(_Made) as found:
        program.create_app(_Anything())
    assert set(found.value.args[0].values()) == {False}
    assert {"tracing", "metrics", "logs", "auto_configure"} == set(found.value.args[0])


class _Anything:
    """A configuration of which nothing is read."""

    def __getattr__(self, _name: str) -> _Anything:
        return self
