"""``remote-signing agency``: ministries, provinces and their units."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import fail, show, show_table
from remote_signing.cli.settings import AsJson, folder_of

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services

app = typer.Typer(name="agency", help="Agencies that manage signers.")


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As it stands in certificates, in Vietnamese.")],
    name_en: Annotated[str | None, typer.Option(help="In English.")] = None,
    code: Annotated[str | None, typer.Option(help="Identifier code, such as G09.12.")] = None,
    tax_code: Annotated[str | None, typer.Option(help="Tax code.")] = None,
    budget_code: Annotated[str | None, typer.Option(help="Budget-relationship code.")] = None,
    province: Annotated[str | None, typer.Option(help="Province or city.")] = None,
    parent: Annotated[str | None, typer.Option(help="Code or id of the superior agency.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register an agency; tells its id."""
    from remote_signing.rssp import subscribers

    with folder_of(context).services() as services:
        new = subscribers.NewAgency(
            name=name,
            name_en=name_en,
            code=code,
            tax_code=tax_code,
            budget_code=budget_code,
            province=province,
            parent_id=agency_id(services, parent) if parent else None,
        )
        made = subscribers.add_agency(services.database, services.clock, new)
    show({"agency_id": made, "name": name}, as_json=as_json)


@app.command("update")
def update(
    context: typer.Context,
    agency: Annotated[str, typer.Argument(help="Code or id of the agency.")],
    name: Annotated[str | None, typer.Option(help="As it stands in certificates.")] = None,
    name_en: Annotated[str | None, typer.Option(help="In English.")] = None,
    code: Annotated[str | None, typer.Option(help="Identifier code.")] = None,
    tax_code: Annotated[str | None, typer.Option(help="Tax code.")] = None,
    budget_code: Annotated[str | None, typer.Option(help="Budget-relationship code.")] = None,
    province: Annotated[str | None, typer.Option(help="Province or city.")] = None,
    as_json: AsJson = False,
) -> None:
    """Mend the records of an agency; what is not named stays, "" takes a value away.

    Certificates that are issued stay as they are.
    """
    from remote_signing.rssp import record_changes

    named = {
        "name": name,
        "name_en": name_en,
        "code": code,
        "tax_code": tax_code,
        "budget_code": budget_code,
        "province": province,
    }
    with folder_of(context).services() as services:
        its_id = agency_id(services, agency)
        changed = record_changes.change_agency(
            services.database, services.clock, its_id, changes_of(named)
        )
    show({"agency_id": its_id, "changed": [*changed]}, as_json=as_json)


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """Every agency."""
    from remote_signing.rssp import subscribers

    with folder_of(context).services() as services:
        records = [asdict(agency) for agency in subscribers.agencies(services.database)]
    show_table(records, ("id", "code", "name"), as_json=as_json)


def changes_of(named: dict[str, str | None]) -> dict[str, str | None]:
    """The options that were given, by column; an empty one takes the value away."""
    return {name: value or None for name, value in named.items() if value is not None}


def agency_id(services: "Services", named: str) -> str:
    """The id of the agency with that id or code."""
    from remote_signing.rssp import subscribers

    for agency in subscribers.agencies(services.database):
        if named in {agency.id, agency.code}:
            return agency.id
    raise fail(f"no agency has the id or code {named!r}")
