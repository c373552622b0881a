"""``remote-signing subscriber enrol-list``: many signers at once, each with a key of his own.

An agency that joins brings a list. Each line is enrolled by itself, so that one that fails stops no
other; who has a credential already is passed over, so that the same command goes on after an
interruption. The secrets file is the only place where passwords, PINs and otpauth URIs are told.
"""

# No `from __future__ import annotations`: typer reads annotations at run time.

import csv
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.agencies import agency_id
from remote_signing.cli.output import fail, say, show
from remote_signing.cli.settings import AsJson, AuthorityKey, folder_of
from remote_signing.errors import RemoteSigningError

# Imported where they are needed: `--help` should not wait for them.
if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.enrolment import Enrolment

VALIDITY_DAYS = 5 * 365
_NEEDED = ("username", "full_name")
_OPTIONAL = ("kind", "position", "email", "phone")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What every signer of the list gets."""

    agency_id: str
    algorithm: str
    multisign: int
    scal: str


@dataclass(frozen=True, slots=True)
class _Desk:
    """Enrols one line; its threads share it. ``tell`` keeps a signer's secrets."""

    services: "Services"
    enrolment: "Enrolment"
    plan: _Plan
    tell: Callable[[dict[str, str]], None]

    def enrol(self, line: dict[str, str]) -> str:
        """``enrolled``, or ``there_already``."""
        from remote_signing.rssp import credentials, subscribers

        database = self.services.database
        known = subscribers.find(database, username=line["username"])
        held = [] if known is None else credentials.of_subscriber(database, known.id)
        if known is None or not held:
            self._make(line, None if known is None else known.id)
            return "enrolled"
        if held[0].not_after_ms is None:  # cut off before its certificate came
            self.enrolment.certify(held[0].id, VALIDITY_DAYS)
            return "enrolled"
        return "there_already"

    def _make(self, line: dict[str, str], subscriber_id: str | None) -> None:
        from remote_signing.rssp import subscribers
        from remote_signing.rssp.enrolment import NewCredential
        from remote_signing.rssp.registration import otpauth_uri

        services, plan = self.services, self.plan
        username, password = line["username"], token_urlsafe(12)
        if subscriber_id is None:
            given = {name: value for name, value in line.items() if value}
            new = subscribers.NewSubscriber(agency_id=plan.agency_id, password=password, **given)
            subscriber_id = subscribers.add_subscriber(services.database, services.clock, new)
        else:  # cut off before his key was made: what he was to be told is lost
            subscribers.set_password(services.database, services.clock, username, password)
        created = self.enrolment.create(
            NewCredential(subscriber_id, plan.algorithm, plan.scal, plan.multisign)
        )
        totp = next(iter(created.secrets.totp.values()))
        # Before the certificate, whatever comes then: they are told once.
        self.tell(
            {
                "username": username,
                "subscriber_id": subscriber_id,
                "credential_id": created.credential_id,
                "password": password,
                "pin": next(iter(created.secrets.pins.values())),
                "otpauth_uri": otpauth_uri(services.config.service.name, username, totp),
            }
        )
        self.enrolment.certify(created.credential_id, VALIDITY_DAYS)


@contextmanager
def _added_to(file: Path) -> Iterator[Callable[[dict[str, str]], None]]:
    """A function, for any thread, that adds a line to ``file`` (mode 0600) for good."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise fail(f"cannot open {file}: {error.strerror}", 2) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as text:
        turn = Lock()

        def tell(record: dict[str, str]) -> None:
            with turn:
                text.write(json.dumps(record, ensure_ascii=False) + "\n")
                text.flush()
                os.fsync(text.fileno())

        yield tell


def enrol_list(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV: username, full_name, position, email, …")],
    agency: Annotated[str, typer.Option(help="Code or id of the agency.")],
    secrets_file: Annotated[
        Path, typer.Option(help="JSON lines are added to it: password, PIN, otpauth URI of each.")
    ],
    algorithm: Annotated[str, typer.Option(help="p256, p384, p521, rsa2048 … rsa4096.")] = "p256",
    multisign: Annotated[int, typer.Option(help="Most signatures of one consent.")] = 100,
    scal: Annotated[
        str, typer.Option(help="2: consent on our page; 1: codes by the portal.")
    ] = "2",
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Lines worked on together.")] = 4,
    key: AuthorityKey = None,
    as_json: AsJson = False,
) -> None:
    """Register every signer of a list and make each a key and a certificate."""
    from remote_signing.rssp.enrolment import Enrolment

    lines = _lines_of(file)
    folder = folder_of(context)
    with folder.services() as services, _added_to(secrets_file) as tell:
        plan = _Plan(agency_id(services, agency), algorithm, multisign, scal)
        desk = _Desk(services, Enrolment(services, folder.authority(key)), plan, tell)
        outcomes = {"enrolled": 0, "there_already": 0, "failed": 0}
        with ThreadPoolExecutor(at_once) as pool:
            works = {pool.submit(desk.enrol, line): line["username"] for line in lines}
            for work in as_completed(works):
                try:
                    outcomes[work.result()] += 1
                except RemoteSigningError as error:
                    outcomes["failed"] += 1
                    say(f"remote-signing: {works[work]}: {type(error).__name__}: {error.cause}")
    show(outcomes, as_json=as_json)
    if outcomes["failed"]:
        raise typer.Exit(1)


def _lines_of(file: Path) -> list[dict[str, str]]:
    """The list, checked as a whole before anybody is enrolled."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        columns = tuple(reader.fieldnames or ())
        if not set(_NEEDED) <= set(columns) <= {*_NEEDED, *_OPTIONAL}:
            raise fail(f"{file}: columns are {', '.join((*_NEEDED, *_OPTIONAL))}", 2)
        lines = list(reader)
    for number, line in enumerate(lines, 2):
        if None in line or None in line.values() or not all(line[name] for name in _NEEDED):
            raise fail(f"{file}: line {number} has too few or too many fields", 2)
    if len({line["username"] for line in lines}) != len(lines):
        raise fail(f"{file}: a user name is there twice", 2)
    return lines
