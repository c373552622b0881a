"""``python -m loadtests.seed --kept FOLDER --credentials 900000``: a site at national scale.

The folder is then given to ``python -m loadtests SCENARIO --kept FOLDER``. What is real in it and
what is a copy: :mod:`loadtests.growth`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests import growth, people, portal
from loadtests.once import place_of, take_turns
from loadtests.options import Options
from loadtests.programs import ProgramFailed, begin
from loadtests.scenarios import SCENARIOS
from loadtests.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.people import Official

_TEMPLATES = 20  # real ceremonies whose rows the past signatures are copies of
_MEGABYTE = 1024 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Grow the site in the folder."""
    given = _parser().parse_args(arguments)
    say = begin()
    options = replace(
        Options("ceremony_otp"), database="postgresql", kept=given.kept, durable=False
    )
    try:
        with Site(options, SCENARIOS["ceremony_otp"].needs) as site:
            grow(site, given.sample, given.credentials, given.signatures, say)
    except ProgramFailed as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def grow(
    site: Site, sample: int, credentials: int, signatures: int, say: Callable[[str], None]
) -> None:
    """``sample`` real officials; copies of them and of their signatures up to the other figures."""
    if site.postgres is None:
        raise ValueError("only PostgreSQL is grown")
    people.found_agency(site)
    portal.register(site, dpop=True)
    officials = people.enrol(site, sample, "p256", SCENARIOS["ceremony_otp"].needs)
    say(f"{len(officials)} officials with real keys")
    if credentials:
        growth.grow_credentials(site.postgres, credentials, say)
    if signatures:
        _sign_once(site, officials[:_TEMPLATES])
        growth.grow_signatures(site.postgres, signatures, say)
    for table, (rows, size) in growth.sizes(site.postgres).items():
        if size > _MEGABYTE:
            say(f"{table}: {rows} rows, {size / _MEGABYTE:.0f} MB")


def _sign_once(site: Site, officials: list[Official]) -> None:
    """Real ceremonies, so that there is something to copy. Errors: ``ProgramFailed``."""
    people.sign_in_all(site, officials)
    recorder = take_turns(place_of(site), officials, "ceremony_otp")
    if recorder.errors:
        raise ProgramFailed(f"no ceremony: {dict(recorder.errors)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.seed", description=__doc__)
    add = parser.add_argument
    add("--kept", type=Path, required=True, help="folder of the site; taken up where it stands")
    add("--credentials", type=int, default=0, help="how many there shall be")
    add("--signatures", type=int, default=0, help="past ones, how many there shall be")
    add("--sample", type=int, default=5000, help="officials with real keys")
    return parser


if __name__ == "__main__":
    sys.exit(main())
