"""What a run is told on its command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from loadtests.events import EVENTS, RECOVERED, RESTART_POSTGRES
from loadtests.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Sequence

Engine = Literal["locust", "plain"]


@dataclass(frozen=True, slots=True)
class Options:
    """One run. ``rate`` None: as fast as the users get on (closed loop)."""

    scenario: str
    users: int = 32
    rate: float | None = None
    seconds: float = 20.0
    warm_up: float = 3.0
    database: str = "sqlite"
    engine: Engine = "locust"
    generators: int = 1
    officials: int = 0  # 0: as many as the rate needs
    algorithm: str = "p256"
    rssp_workers: int = 1
    sam_workers: int = 2
    nodes: int = 1
    hosts: int = 1
    hsm_latency: float = 0.0  # ms
    durable: bool = True
    statements: bool = True
    event: str | None = None
    event_at: float = 0.0
    consent_page: bool = True
    dpop: bool = True
    hashes: int = 100
    raw_seconds: float = 1.0
    kept: Path | None = None
    out: Path = Path("var/loadtests")
    history: Path | None = None
    judged: bool = True


def read(arguments: Sequence[str] | None = None) -> Options:
    """The options in ``arguments`` (None: the process's own)."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    given["event_at"] = given["event_at"] or given["seconds"] / 2
    options = Options(**given)
    if options.event is not None:
        _check_event(parser, options)
    return options


def _check_event(parser: argparse.ArgumentParser, options: Options) -> None:
    if options.event == RESTART_POSTGRES and options.database != "postgresql":
        parser.error(f"--event {options.event}: there is no PostgreSQL to fall over")
    limit = RECOVERED[str(options.event)]
    if not 0 < options.event_at < options.seconds - limit - 1:
        parser.error(f"--event-at: so that more than {limit:g} seconds follow, which are judged")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests",
        description="Start the whole service on loopback, load it, measure it, judge it.",
    )
    _add_load(parser)
    _add_site(parser)
    _add_results(parser)
    return parser


def _add_load(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("scenario", choices=sorted(SCENARIOS), help="what is done")
    add("--users", type=int, default=32, help="ceremonies under way at once, at most")
    add("--rate", type=float, help="ceremonies begun a second (open loop); default: closed loop")
    add("--seconds", type=float, default=20.0, help="that are measured")
    add("--warm-up", type=float, default=3.0, help="seconds before, that are not")
    add("--officials", type=int, default=0, help="signers; default: as many as the rate needs")
    add("--algorithm", default="p256", help="of their keys: p256, rsa2048, …")
    add("--hashes", type=int, default=100, help="of one ceremony of batch and seal")
    add("--engine", choices=["locust", "plain"], default="locust", help="what sends the requests")
    add("--generators", type=int, default=1, help="processes that send them")
    add(
        "--direct",
        dest="consent_page",
        action="store_false",
        help="consent over the rssp's API, without the consent page between",
    )
    add("--bearer", dest="dpop", action="store_false", help="tokens not bound to a key by DPoP")


def _add_site(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--database", choices=["sqlite", "postgresql"], default="postgresql")
    add("--rssp-workers", type=int, default=1, help="processes of the rssp")
    add("--hosts", type=int, default=1, help="of rssp, SAM with nodes of its own, consent page")
    add("--nodes", type=int, default=1, help="HSM nodes (SoftHSM) of each host")
    add("--sam-workers", type=int, default=2, help="processes for each node")
    add(
        "--hsm-latency",
        type=float,
        default=0.0,
        metavar="MS",
        help="that C_Sign and C_UnwrapKey of the token sleep before they work (needs a C compiler)",
    )
    add(
        "--forgetful",
        dest="durable",
        action="store_false",
        help="a PostgreSQL that does not sync to disk: faster than any real one",
    )
    add(
        "--no-statements",
        dest="statements",
        action="store_false",
        help="do not let PostgreSQL count statements (saves a little of its time)",
    )
    add("--event", choices=sorted(EVENTS), help="what happens in the middle of the run")
    add("--event-at", type=float, default=0.0, help="second of it [the middle]")
    add("--raw-seconds", type=float, default=1.0, help="for each raw figure of the token")
    add("--kept", type=Path, help="folder of the site, kept and taken up again by the next run")


def _add_results(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, default=Path("var/loadtests"), help="folder for JSON, CSV and report")
    add("--history", type=Path, help="JSON lines, one for each run [OUT/history.jsonl]")
    add(
        "--no-goals",
        dest="judged",
        action="store_false",
        help="measure only: exit status 0 whatever the figures, as long as there is no error",
    )
