"""``remote-signing sim``: the SIMs that officials consent with."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.credentials import CredentialId
from remote_signing.cli.output import fail, say, show, show_table
from remote_signing.cli.settings import AsJson, AuthorityKey, folder_of
from remote_signing.clock import as_datetime

# Imported where they are needed: `--help` should not wait for them.
if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services

app = typer.Typer(name="sim", help="SIMs that officials consent with.")

FactorId = Annotated[str, typer.Argument(help="The factor's id, from `sim show`.")]


@app.callback()
def group() -> None:
    """SIMs that officials consent with."""


@app.command("enrol")
def enrol(
    context: typer.Context,
    credential_id: CredentialId,
    msisdn: Annotated[str, typer.Option(help="Digits, country code first: 84912345678.")],
    operator: Annotated[
        str | None, typer.Option(help="Of sim.toml; else by the number's prefix.")
    ] = None,
    algorithm: Annotated[str, typer.Option(help="P256 or RSA2048.")] = "P256",
    replace: Annotated[
        bool, typer.Option("--replace", help="A new key in a SIM that has one.")
    ] = False,
    validity_days: Annotated[int, typer.Option(help="Of the SIM's certificate.")] = 5 * 365,
    key: AuthorityKey = None,
    as_json: AsJson = False,
) -> None:
    """Have the SIM make a key, certify it and pin it; the official is at the phone."""
    from remote_signing.rssp.sim_enrolment import NewSim, SimEnrolment

    folder = folder_of(context)
    new = NewSim(msisdn, operator, algorithm, replace=replace, validity_days=validity_days)
    with folder.services() as services:
        desk = SimEnrolment(services, folder.authority(key))
        enrolled = desk.enrol(credential_id, new, lambda code: say(f"the phone shows code {code}"))
    record = {
        "credential_id": credential_id,
        "factor_id": enrolled.factor_id,
        "operator": enrolled.operator,
    }
    show(record, as_json=as_json)


@app.command("show")
def show_all(context: typer.Context, credential_id: CredentialId, as_json: AsJson = False) -> None:
    """A credential's SIMs, as they are on record."""
    from remote_signing.rssp.sim import cards

    with folder_of(context).services() as services:
        found = cards.of_credential(services, credential_id)
    rows = [
        {
            "factor_id": row.factor_id,
            "msisdn": row.msisdn,
            "operator": row.operator,
            "mode": row.mode,
            "state": row.state,
            "reason": row.reason,
            "checked_at": as_datetime(row.checked_at).isoformat(),
        }
        for row in found
    ]
    columns = ("factor_id", "msisdn", "operator", "mode", "state", "reason", "checked_at")
    show_table(rows, columns, as_json=as_json)


@app.command("check")
def check(context: typer.Context, factor_id: FactorId) -> None:
    """Ask the operator whose SIM it is now; one that changed is suspended. Status 3: no answer."""
    from remote_signing.rssp.sim import cards

    with folder_of(context).services() as services:
        reason = cards.examine(services, cards.get(services, factor_id))
    if reason is not None:
        raise fail(f"{factor_id} is suspended: {reason}")
    say(f"{factor_id} is as it was enrolled, as far as its operator tells")


@app.command("suspend")
def suspend(
    context: typer.Context,
    factor_id: FactorId,
    reason: Annotated[str, typer.Option(help="For the record.")] = "suspended",
) -> None:
    """Do not ask this SIM any more for now. For good: `credential drop-factor`."""
    with folder_of(context).services() as services:
        _set_state(services, factor_id, "suspended", reason)


@app.command("resume")
def resume(context: typer.Context, factor_id: FactorId) -> None:
    """Ask it again, where nothing but a precaution stood against it."""
    with folder_of(context).services() as services:
        _set_state(services, factor_id, "active", None)


@app.command("evidence")
def evidence(
    context: typer.Context,
    activation_id: Annotated[str, typer.Argument(help="From `audit show`.")],
    file: Annotated[Path, typer.Argument(help="A new file for the JSON.")],
) -> None:
    """Export a SIM's consent, for docs/verify-sim-consent/verify.py and whoever asks."""
    from remote_signing.cli.output import write_new
    from remote_signing.rssp import activation_sim

    with folder_of(context).services() as services:
        row = activation_sim.latest(services, activation_id)
    if row is None or row.evidence is None:
        raise fail(f"no SIM has consented in {activation_id}")
    write_new(file, row.evidence.encode())
    say(f"{file}: evidence of {activation_id}")


def _set_state(services: "Services", factor_id: str, state: str, reason: str | None) -> None:
    from remote_signing.rssp import audit
    from remote_signing.rssp.sim import cards

    row = cards.get(services, factor_id)
    if not cards.set_state(services, row, state, reason, audit.operator()):
        raise fail(f"{factor_id} is {row.state} already")
    say(f"{factor_id} is {state}")
