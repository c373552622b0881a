"""``remote-signing subscriber``: officials and organisations that sign."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from dataclasses import asdict
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.agencies import agency_id, changes_of
from remote_signing.cli.output import fail, say, show, show_table, write_new
from remote_signing.cli.secrets_asked import new_password, secret_line
from remote_signing.cli.settings import AsJson, AuthorityKey, folder_of

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.subscribers import Subscriber

app = typer.Typer(name="subscriber", help="Signers: officials and organisations.")

Username = Annotated[str, typer.Argument(help="User name at sign-in.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="Its first line is the password; - for stdin [a prompt].")
]


@app.command("add")
def add(
    context: typer.Context,
    username: Username,
    agency: Annotated[str, typer.Option(help="Code or id of the agency.")],
    name: Annotated[str, typer.Option(help="Full name, as it stands in the certificate.")],
    kind: Annotated[str, typer.Option(help="person or organisation.")] = "person",
    position: Annotated[str | None, typer.Option(help="Position or title.")] = None,
    email: Annotated[str | None, typer.Option(help="Official e-mail.")] = None,
    phone: Annotated[str | None, typer.Option(help="Phone number.")] = None,
    password_file: PasswordFile = None,
    by_code: Annotated[
        bool, typer.Option("--by-code", help="No password: `subscriber invite` comes next.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Register a signer; tells the id. The password is asked for."""
    from remote_signing.rssp import subscribers

    with folder_of(context).services() as services:
        new = subscribers.NewSubscriber(
            agency_id=agency_id(services, agency),
            full_name=name,
            username=username,
            # Nobody's: the signer chooses one with the code.
            password=token_urlsafe(32) if by_code else new_password(password_file, username),
            kind=kind,
            position=position,
            email=email,
            phone=phone,
        )
        made = subscribers.add_subscriber(services.database, services.clock, new)
    show({"subscriber_id": made, "username": username}, as_json=as_json)


@app.command("update")
def update(
    context: typer.Context,
    username: Username,
    name: Annotated[str | None, typer.Option(help="Full name.")] = None,
    position: Annotated[str | None, typer.Option(help="Position or title.")] = None,
    email: Annotated[str | None, typer.Option(help="Official e-mail.")] = None,
    agency: Annotated[str | None, typer.Option(help="Code or id of the new agency.")] = None,
    as_json: AsJson = False,
) -> None:
    """Mend the records of a signer; what is not named stays, "" takes a value away.

    Certificates that are issued stay as they are: `credential issue` a new one where they matter.
    """
    from remote_signing.rssp import record_changes

    with folder_of(context).services() as services:
        owner = subscriber(services, username)
        named = {
            "full_name": name,
            "position": position,
            "email": email,
            "agency_id": agency_id(services, agency) if agency else None,
        }
        changed = record_changes.change_subscriber(
            services.database, services.clock, owner.id, changes_of(named)
        )
    show({"username": username, "changed": [*changed]}, as_json=as_json)


@app.command("list")
def list_all(
    context: typer.Context,
    agency: Annotated[str | None, typer.Option(help="Only of this agency (code or id).")] = None,
    as_json: AsJson = False,
) -> None:
    """Every signer, or those of one agency."""
    from remote_signing.rssp import subscribers

    with folder_of(context).services() as services:
        only = agency_id(services, agency) if agency else None
        found = subscribers.listed(services.database, agency_id=only)
    columns = ("id", "username", "full_name", "position", "agency_name", "state")
    show_table([asdict(each) for each in found], columns, as_json=as_json)


@app.command("set-password")
def set_password(
    context: typer.Context, username: Username, password_file: PasswordFile = None
) -> None:
    """Replace a signer's password; ends sign-in pauses and open sessions."""
    from remote_signing.rssp import subscribers

    with folder_of(context).services() as services:
        subscriber(services, username)
        password = new_password(password_file, username)
        subscribers.set_password(services.database, services.clock, username, password)
    say(f"{username} has a new password")


@app.command("invite")
def invite(
    context: typer.Context,
    username: Username,
    hours: Annotated[int, typer.Option(min=1, max=336, help="How long the code is good.")] = 72,
    svg: Annotated[Path | None, typer.Option(help="Write the QR code into this new file.")] = None,
    choose_pin: Annotated[
        bool,
        typer.Option("--choose-pin", help="With it and the app, the signer chooses the PIN, too."),
    ] = False,
    key: AuthorityKey = None,
    as_json: AsJson = False,
) -> None:
    """A one-time code with which the signer opens the account; told once, with its QR code.

    Earlier codes of the signer are void. Hand it over in person: whoever has it sets the password.
    """
    from remote_signing.cli.qr_code import as_svg, as_text
    from remote_signing.rssp import account_codes
    from remote_signing.rssp.pin_orders import PinOrders

    folder = folder_of(context)
    with folder.services() as services:
        owner = subscriber(services, username)
        desk = PinOrders(services, folder.authority(key)) if choose_pin else None
        code = account_codes.issue(services, owner.id, hours * 3_600_000)
        if desk is not None:
            desk.let_choose(owner.id, account_codes.read_as(code), hours * 3_600_000)
        # Behind the "#", so that the code is in no server's log.
        link = f"{services.config.urls.consent}/activate#{code}"
    show({"username": username, "code": code, "link": link, "hours": hours}, as_json=as_json)
    if svg is not None:
        write_new(svg, as_svg(link))
    elif not as_json:
        typer.echo(as_text(link))


@app.command("bind-openid")
def bind_openid(
    context: typer.Context,
    username: Username,
    value_file: Annotated[
        Path | None,
        typer.Option(help="Its first line is the value of the claim; - for stdin [a prompt]."),
    ] = None,
) -> None:
    """Let a person at the identity provider sign in as this signer, by the configured claim."""
    from remote_signing.rssp import openid_subjects

    with folder_of(context).services() as services:
        owner = subscriber(services, username)
        value = secret_line(value_file, "Value of the claim at the provider")
        openid_subjects.bind(services, owner.id, value)
    say(f"{username} may sign in by the identity provider")


@app.command("unbind-openid")
def unbind_openid(context: typer.Context, username: Username, as_json: AsJson = False) -> None:
    """Nobody signs in as this signer by the identity provider any more."""
    from remote_signing.rssp import openid_subjects

    with folder_of(context).services() as services:
        owner = subscriber(services, username)
        count = openid_subjects.unbind(services, owner.id)
    show({"username": username, "removed": str(count)}, as_json=as_json)


@app.command("suspend")
def suspend(context: typer.Context, username: Username) -> None:
    """Keep a signer from signing in and signing."""
    _set_state(context, username, "suspended")


@app.command("resume")
def resume(context: typer.Context, username: Username) -> None:
    """Let a suspended signer work again."""
    _set_state(context, username, "active")


def subscriber(services: "Services", username: str) -> "Subscriber":
    """The signer with that user name."""
    from remote_signing.rssp import subscribers

    found = subscribers.find(services.database, username=username)
    if found is None:
        raise fail(f"no signer has the user name {username!r}")
    return found


def _set_state(context: typer.Context, username: str, state: str) -> None:
    from remote_signing.rssp import subscribers

    with folder_of(context).services() as services:
        found = subscriber(services, username)
        subscribers.set_state(services.database, services.clock, found.id, state)
    say(f"{username} is {state}")
