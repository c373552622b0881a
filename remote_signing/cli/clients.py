"""``remote-signing client``: portals and integrators that ask for signatures."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.agencies import agency_id
from remote_signing.cli.output import fail, say, show, show_table
from remote_signing.cli.secrets_told import handing_over
from remote_signing.cli.settings import AsJson, folder_of
from remote_signing.errors import InvalidInput
from remote_signing.strict_json import JsonValue, loads_object

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services

app = typer.Typer(name="client", help="Clients of the API: portals, integrators.")

ClientId = Annotated[str, typer.Argument(help="The client's client_id.")]
SecretFile = Annotated[
    Path | None, typer.Option(help="Write a new secret into this new file instead of showing it.")
]


@app.command("add")
def add(
    context: typer.Context,
    client_id: ClientId,
    name: Annotated[str, typer.Option(help="What signers see.")],
    auth_method: Annotated[
        str, typer.Option(help="private_key_jwt, tls_client_auth, client_secret_basic or …_post.")
    ] = "private_key_jwt",
    jwks: Annotated[
        Path | None, typer.Option(help="JWK set with the client's public keys.")
    ] = None,
    redirect_uri: Annotated[list[str], typer.Option(help="Repeatable.")] = [],
    grant: Annotated[
        list[str],
        typer.Option(help="authorization_code, client_credentials, refresh_token; repeatable."),
    ] = ["authorization_code"],
    scope: Annotated[list[str], typer.Option(help="service, credential; repeatable.")] = [
        "service",
        "credential",
    ],
    agency: Annotated[
        list[str],
        typer.Option(help="With client_credentials: whose signers (code, id or *); repeatable."),
    ] = [],
    logo_uri: Annotated[str | None, typer.Option(help="Address of its logo.")] = None,
    tls_subject: Annotated[str | None, typer.Option(help="Of its certificate (RFC 4514).")] = None,
    tls_thumbprint: Annotated[
        str | None, typer.Option(help="Of its certificate: base64url of SHA-256.")
    ] = None,
    dpop: Annotated[bool, typer.Option(help="Whether each token is bound by DPoP.")] = False,
    par: Annotated[bool, typer.Option(help="Whether requests must be pushed.")] = True,
    endpoint_audience: Annotated[
        bool,
        typer.Option(
            "--endpoint-audience", help="Its assertions name the endpoint (before FAPI 2.0)."
        ),
    ] = False,
    secret_file: SecretFile = None,
    as_json: AsJson = False,
) -> None:
    """Register a client. A secret, if its method has one, is told once."""
    from remote_signing.rssp import clients

    with folder_of(context).services() as services, handing_over(secret_file) as hand_over:
        new = clients.NewClient(
            client_id=client_id,
            name=name,
            auth_method=auth_method,
            redirect_uris=tuple(redirect_uri),
            grant_types=tuple(grant),
            scopes=tuple(scope),
            logo_uri=logo_uri,
            jwks=None if jwks is None else _public_keys(jwks),
            tls_subject=tls_subject,
            tls_thumbprint=tls_thumbprint,
            dpop_required=dpop,
            par_required=par,
            endpoint_audience=endpoint_audience,
            agencies=_agency_ids(services, agency),
        )
        secret = clients.register(services.database, services.clock, new)
        record = {"client_id": client_id}
        if secret is not None:
            record |= hand_over(record | {"client_secret": secret})
    show(record, as_json=as_json)


@app.command("update")
def change(
    context: typer.Context,
    client_id: ClientId,
    name: Annotated[str | None, typer.Option(help="What signers see.")] = None,
    jwks: Annotated[Path | None, typer.Option(help="JWK set that replaces the former.")] = None,
    redirect_uri: Annotated[list[str] | None, typer.Option(help="All of them; repeatable.")] = None,
    grant: Annotated[list[str] | None, typer.Option(help="All of them; repeatable.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="All of them; repeatable.")] = None,
    agency: Annotated[list[str] | None, typer.Option(help="All of them; repeatable.")] = None,
    logo_uri: Annotated[str | None, typer.Option(help="Address of its logo.")] = None,
    tls_subject: Annotated[str | None, typer.Option(help="Of its certificate (RFC 4514).")] = None,
    tls_thumbprint: Annotated[
        str | None, typer.Option(help="Of its certificate: base64url of SHA-256.")
    ] = None,
    dpop: Annotated[bool | None, typer.Option(help="Whether each token is bound by DPoP.")] = None,
    par: Annotated[bool | None, typer.Option(help="Whether requests must be pushed.")] = None,
    endpoint_audience: Annotated[
        bool | None, typer.Option(help="Whether its assertions may name the endpoint.")
    ] = None,
) -> None:
    """Register other values for a client (within 5 s); what is not named stays.

    How it authenticates stays too: whoever does otherwise is registered as another client.
    """
    from remote_signing.rssp import clients

    with folder_of(context).services() as services:
        named: dict[str, object] = {
            "name": name,
            "jwks": None if jwks is None else _public_keys(jwks),
            "redirect_uris": None if redirect_uri is None else tuple(redirect_uri),
            "grant_types": None if grant is None else tuple(grant),
            "scopes": None if scope is None else tuple(scope),
            "agencies": None if agency is None else _agency_ids(services, agency),
            "logo_uri": logo_uri,
            "tls_subject": tls_subject,
            "tls_thumbprint": tls_thumbprint,
            "dpop_required": dpop,
            "par_required": par,
            "endpoint_audience": endpoint_audience,
        }
        changes = {each: value for each, value in named.items() if value is not None}
        if not changes:
            raise fail("nothing to change")
        if not clients.change(services.database, services.clock, client_id, changes):
            raise fail(f"no client {client_id!r}")
    say(f"{client_id} is changed: {', '.join(changes)}")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """Every client."""
    from remote_signing.rssp import clients

    with folder_of(context).services() as services:
        found = clients.listed(services.database)
    records: list[dict[str, JsonValue]] = [
        {
            "client_id": client.client_id,
            "name": client.name,
            "state": state,
            "auth_method": client.auth_method,
            "dpop_required": client.dpop_required,
            "par_required": client.par_required,
            "endpoint_audience": client.endpoint_audience,
            "logo_uri": client.logo_uri,
            "tls_subject": client.tls_subject,
            "tls_thumbprint": client.tls_thumbprint,
            "jwks": client.jwks,
            "grant_types": list(client.grant_types),
            "scopes": list(client.scopes),
            "redirect_uris": list(client.redirect_uris),
            "agencies": list(client.agencies),
        }
        for client, state in found
    ]
    columns = ("client_id", "name", "state", "auth_method", "dpop_required", "redirect_uris")
    show_table(records, columns, as_json=as_json)


@app.command("disable")
def disable(context: typer.Context, client_id: ClientId) -> None:
    """Refuse a client from now on (within 5 s)."""
    _set_state(context, client_id, "suspended")


@app.command("enable")
def enable(context: typer.Context, client_id: ClientId) -> None:
    """Let a disabled client work again."""
    _set_state(context, client_id, "active")


@app.command("logo")
def logo(
    context: typer.Context,
    client_id: ClientId,
    picture: Annotated[
        Path | None, typer.Argument(help="PNG or JPEG, best a square; none: take it away.")
    ] = None,
) -> None:
    """Show a picture beside a client's name. It is drawn anew, 96 pixels wide and high."""
    from remote_signing.rssp import logos

    data = None if picture is None else picture.read_bytes()
    with folder_of(context).services() as services:
        if not logos.put(services.database, services.clock, client_id, data):
            raise fail(f"no client {client_id!r}")
    say(f"{client_id} has {'no' if data is None else 'this'} logo")


@app.command("rotate-secret")
def rotate_secret(
    context: typer.Context,
    client_id: ClientId,
    secret_file: SecretFile = None,
    as_json: AsJson = False,
) -> None:
    """Replace a client's secret (within 5 s); the new one is told once."""
    from remote_signing.rssp import clients

    with folder_of(context).services() as services, handing_over(secret_file) as hand_over:
        secret = clients.rotate_secret(services.database, services.clock, client_id)
        if secret is None:
            raise fail(f"no client {client_id!r} that authenticates with a secret")
        record = {"client_id": client_id}
        record |= hand_over(record | {"client_secret": secret})
    show(record, as_json=as_json)


def _set_state(context: typer.Context, client_id: str, state: str) -> None:
    from remote_signing.rssp import clients

    with folder_of(context).services() as services:
        if not clients.set_state(services.database, services.clock, client_id, state):
            raise fail(f"no client {client_id!r}")
    say(f"{client_id} is {state}")


def _agency_ids(services: "Services", named: list[str]) -> tuple[str, ...]:
    from remote_signing.rssp import clients

    return tuple(
        each if each == clients.ANY_AGENCY else agency_id(services, each) for each in named
    )


def _public_keys(file: Path) -> dict[str, JsonValue]:
    """The JWK set in ``file``.

    A private key in it was put there by mistake: it must not get into a database.
    """
    jwks = loads_object(file.read_bytes())
    keys = jwks.get("keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict) and {"d", "k"} & key.keys():
            raise InvalidInput("the JWK set holds a private or symmetric key", parameter="jwks")
    return jwks
