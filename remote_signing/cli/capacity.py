"""``remote-signing capacity``: what a day's load needs, from measured costs."""

# No `from __future__ import annotations`: typer reads annotations at run time.

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from remote_signing.capacity import SCENARIOS, CostMissing, Demand, costs, plan
from remote_signing.cli.output import fail, say, show_lines
from remote_signing.cli.settings import AsJson


def capacity(
    per_day: Annotated[int, typer.Option(min=1, help="Signatures of a working day.")],
    algorithm: Annotated[str, typer.Option(help="Of the keys: p256, rsa2048, …")],
    results: Annotated[
        Path | None, typer.Option(help="Results (JSON) of `python -m loadtests`.", exists=True)
    ] = None,
    growth: Annotated[
        Path | None, typer.Option(help="From `python -m tests.bench.growth --out`.", exists=True)
    ] = None,
    consent: Annotated[str, typer.Option(help="otp, sim or passkey.")] = "otp",
    peak_factor: Annotated[
        float, typer.Option(min=1, help="The busiest hour, beside the average.")
    ] = 2.0,
    hours: Annotated[float, typer.Option(min=0.1, max=24, help="Of the working day.")] = 8.0,
    days: Annotated[int, typer.Option(min=1, max=366, help="Such days in a year.")] = 365,
    utilisation: Annotated[
        float, typer.Option(min=0.05, max=1, help="Of processors and tokens, at the peak.")
    ] = 0.6,
    host_cores: Annotated[int, typer.Option(min=1, help="Of one host.")] = 16,
    hsm_rate: Annotated[
        float | None,
        typer.Option(min=0.1, help="Unwrap and sign a second on one HSM node; else no nodes."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a day's load needs: cores, hosts, HSM, database. Nothing that was not measured."""
    if consent not in SCENARIOS:
        raise typer.BadParameter(f"{consent!r} is not {', '.join(SCENARIOS)}")
    demand = Demand(
        per_day=per_day,
        algorithm=algorithm,
        consent=consent,
        peak_factor=peak_factor,
        hours=hours,
        days=days,
        utilisation=utilisation,
        host_cores=host_cores,
        hsm_rate=hsm_rate,
    )
    try:
        cost = costs(demand, _read(results), _read(growth))
    except CostMissing as error:
        raise fail("not measured, and not guessed:\n  " + "\n  ".join(error.costs)) from None
    figures = plan(demand, cost)
    for line in cost.basis:
        say(f"rests on {line}")
    if as_json:
        show_lines(asdict(figure) for figure in figures)
        return
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        value = f"{figure.value:,.1f}".removesuffix(".0")
        typer.echo(f"{figure.name:<{width}}  {value:>18} {figure.unit:<14} = {figure.formula}")
    if consent == "sim" and "sim_transaction" not in cost.tables:
        say("not in it: rows of sim_transaction, which stay for ever and were not measured")
    if hsm_rate is None:
        say("HSM nodes are not told: --hsm-rate is missing")


def _read(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise fail(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise fail(f"{path}: no JSON object")
    return found
