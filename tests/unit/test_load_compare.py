"""A comparison is a figure only when nothing went wrong; judged without a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from loadtests import compare
from loadtests.generators import GeneratorFailed, Times
from loadtests.options import Options
from loadtests.recorder import Recorder

if TYPE_CHECKING:
    from pathlib import Path


class Answered:
    """Generators that have seen what they are told to have seen."""

    saw: ClassVar[dict[str, Any]] = {}
    killed = 0

    def __init__(self, *_: object) -> None: ...

    def begin(self, _options: Options) -> Times:
        return Times(0.0, 0.0, 2.0, 2.0)

    def gather(self) -> Recorder:
        found = Recorder(0.0, 2.0)
        found.signatures = 6
        for name, value in self.saw.items():
            setattr(found, name, value)
        return found

    def kill(self) -> None:
        Answered.killed += 1


@pytest.mark.parametrize(
    "saw",
    [{}, {"errors": {"sign_hash 500": 1}}, {"short": 1}, {"unfinished": 1}],
    ids=["nothing", "an error", "a shortage", "something unfinished"],
)
def test_only_what_went_well_is_a_rate(
    saw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Site:
        folder = tmp_path

    monkeypatch.setattr(compare, "Generators", Answered)
    monkeypatch.setattr(Answered, "saw", saw)
    before, site = Answered.killed, Site()
    asked: Any = (site, Options("authorize_sign"), "python", [], {})
    if saw:
        with pytest.raises(GeneratorFailed):
            compare._rate(*asked)  # noqa: SLF001 - what is judged
    else:
        assert compare._rate(*asked) == (3.0, {})  # noqa: SLF001 - as above
    assert Answered.killed == before + 1
