"""``remote-signing subscriber enrol-list``: many signers at once, each with a key of his own.

An agency that joins brings a list. Each line is enrolled by itself, so that one that fails stops no
other; who has a credential already is passed over, so that the same command goes on after an
interruption. The secrets file is the only place where passwords, PINs and otpauth URIs are told.
"""

# No `from __future__ import annotations`: typer reads annotations at run time.

import csv
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from threading import Event
from typing import TYPE_CHECKING, Annotated
from unicodedata import normalize

import typer

from remote_signing.cli.agencies import agency_id
from remote_signing.cli.output import fail, say, show
from remote_signing.cli.secrets_told import SecretsOfMany
from remote_signing.cli.settings import AsJson, AuthorityKey, folder_of
from remote_signing.errors import InvalidInput, RemoteSigningError

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
    """Enrols one line; its threads share it."""

    services: "Services"
    enrolment: "Enrolment"
    plan: _Plan
    secrets: SecretsOfMany
    closed: Event = field(default_factory=Event)

    def enrol(self, line: dict[str, str]) -> str:
        """``enrolled``, or ``there_already``. No line is begun after a fault that is no refusal."""
        if self.closed.is_set():
            raise CancelledError
        try:
            return self._enrol(line)
        except RemoteSigningError:
            raise
        except BaseException:
            self.closed.set()
            raise

    def _enrol(self, line: dict[str, str]) -> str:
        from remote_signing.rssp import credentials, subscribers

        known = subscribers.find(self.services.database, username=line["username"])
        if known is None:
            self._register(line)
            return "enrolled"
        if known.agency_id != self.plan.agency_id or _differ(known.full_name, line["full_name"]):
            raise InvalidInput("the user name is that of somebody else", parameter="username")
        held = credentials.of_subscriber(self.services.database, known.id)
        if not held:
            self._equip(known.id, known.username, self._first_password(known.id))
            return "enrolled"
        if any(each.certificate for each in held):
            return "there_already"
        for each in held:
            if each.id in self.secrets.told:  # cut off before its certificate came
                self.enrolment.certify(each.id, VALIDITY_DAYS)
                return "enrolled"
        # Cut off before its secrets were kept, or not of this list: for another CA to certify.
        raise InvalidInput(
            "has a key without a certificate, whose secrets are not in the secrets file:"
            f" `remote-signing credential install-certificate` or `destroy`: {held[0].id}",
            parameter="username",
        )

    def _register(self, line: dict[str, str]) -> None:
        from remote_signing.rssp import subscribers

        password = token_urlsafe(12)
        given = {name: value for name, value in line.items() if value}
        new = subscribers.NewSubscriber(agency_id=self.plan.agency_id, password=password, **given)
        made = subscribers.add_subscriber(self.services.database, self.services.clock, new)
        self._equip(made, new.username, password)

    def _first_password(self, subscriber_id: str) -> str | None:
        """In the place of one that nobody was told or that was never used; None: he has his own."""
        from remote_signing.rssp import subscribers

        password, services = token_urlsafe(12), self.services
        is_set = subscribers.set_first_password(
            services.database, services.clock, subscriber_id, password
        )
        return password if is_set else None

    def _equip(self, subscriber_id: str, username: str, password: str | None) -> None:
        """A key, and its certificate once its secrets are told."""
        from remote_signing.rssp.enrolment import NewCredential
        from remote_signing.rssp.registration import otpauth_uri

        plan = self.plan
        created = self.enrolment.create(
            NewCredential(subscriber_id, plan.algorithm, plan.scal, plan.multisign)
        )
        totp = next(iter(created.secrets.totp.values()))
        record = {
            "username": username,
            "subscriber_id": subscriber_id,
            "credential_id": created.credential_id,
            "password": password,
            "pin": next(iter(created.secrets.pins.values())),
            "otpauth_uri": otpauth_uri(self.services.config.service.name, username, totp),
        }
        try:
            self.secrets.tell({name: value for name, value in record.items() if value is not None})
        except OSError:
            with suppress(RemoteSigningError):  # then the next run tells of it
                self.enrolment.destroy(created.credential_id)  # nobody could ever use it
            raise
        self.enrolment.certify(created.credential_id, VALIDITY_DAYS)

    def work_off(self, lines: list[dict[str, str]], at_once: int) -> dict[str, int]:
        """Every line; how many of each outcome. A refusal is told and counted, a fault ends it."""
        outcomes = {"enrolled": 0, "there_already": 0, "failed": 0}
        with ThreadPoolExecutor(at_once) as pool:
            works = {pool.submit(self.enrol, line): line["username"] for line in lines}
            try:
                for work in as_completed(works):
                    try:
                        outcomes[work.result()] += 1
                    except CancelledError:
                        continue  # not begun; the fault itself comes, too
                    except RemoteSigningError as error:
                        outcomes["failed"] += 1
                        say(f"remote-signing: {works[work]}: {type(error).__name__}: {error.cause}")
            except BaseException:  # a full disk, Ctrl-C: what is begun is ended, and nothing more
                self.closed.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return outcomes


def _differ(one: str, other: str) -> bool:
    # Vietnamese keyboards spell the same letters in more than one way.
    return normalize("NFC", one) != normalize("NFC", other)


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
    with folder.services() as services, SecretsOfMany(secrets_file) as secrets:
        plan = _Plan(agency_id(services, agency), algorithm, multisign, scal)
        desk = _Desk(services, Enrolment(services, folder.authority(key)), plan, secrets)
        outcomes = desk.work_off(lines, at_once)
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
