"""Officials: enrolled by the operator's command, signed in by rows of the session table.

Keys, certificates and factors are real: each was made by the registration authority's order. A
session is a row with a random secret's hash, and is written as such, because ten thousand sign-ins
would take longer than the run; ``sign_in`` measures what a real one costs.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import json
import secrets
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from loadtests import passkeys, sims
from loadtests.site import AGENCY, read_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from loadtests.place import Needs
    from loadtests.site import Site

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SESSION_MS = 12 * 3600 * 1000
_STEP = 30  # seconds of a one-time code
_FAMILY, _MIDDLE = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng"), ("Văn", "Thị", "Đức", "Minh", "Thu")
_GIVEN = ("An", "Bình", "Chi", "Dũng", "Giang", "Hà", "Khánh", "Lan", "Nam", "Oanh", "Phúc")


@dataclass(slots=True)
class Official:
    """One signer, as the load generator has him. ``totp`` is the secret, base32."""

    username: str
    subscriber_id: str
    credential_id: str
    password: str = field(repr=False)
    pin: str = field(repr=False)
    totp: str = field(repr=False)
    session: str = field(repr=False, default="")
    extra: dict[str, Any] = field(repr=False, default_factory=dict)
    last_step: int = 0

    def members(self) -> dict[str, Any]:
        """For the generator's file."""
        return asdict(self)

    def code(self, step: int) -> str:
        """The one-time code of 30-second step ``step`` (RFC 6238)."""
        self.last_step = step
        mac = hmac.digest(base64.b32decode(self.totp), step.to_bytes(8), "sha1")
        at = mac[-1] & 15
        return f"{(int.from_bytes(mac[at : at + 4]) & 0x7FFFFFFF) % 1_000_000:06d}"


def found_agency(site: Site) -> None:
    """The ministry whose officials sign."""
    known = () if site.is_new else site.command.json("agency", "list")
    if AGENCY not in {each["code"] for each in known}:
        site.command.json("agency", "add", "Bộ Nội vụ", "--code", AGENCY, "--province", "Hà Nội")


def enrol(site: Site, count: int, algorithm: str, needs: Needs) -> list[Official]:
    """``count`` officials with a credential of ``algorithm``; those there already are taken up."""
    kind, group = needs.people, f"{needs.people}{needs.scal}"
    told = site.folder / "secrets" / f"{group}-{algorithm}.jsonl"
    there = read_secrets(told)
    names = site.folder / f"{group}-{algorithm}.csv"
    _write_list(names, f"{group}.{algorithm}", kind, count)
    for last in (False, False, True):
        if len(there) >= count:
            break
        # It goes on where it stopped, so a busy machine needs it twice.
        site.command.run(
            *("subscriber", "enrol-list", str(names), "--agency", AGENCY, "--algorithm", algorithm),
            *("--secrets-file", str(told), "--scal", needs.scal, "--json"),
            may_fail=not last,
        )
        there = read_secrets(told)
    await_new_codes(site.left)
    return [_official(each) for each in there[:count]]


def await_new_codes(left: Path) -> None:
    """Wait until each one-time code that a run before may have used is over.

    ``left`` is as old as that run's end, or not there. Its last codes were those of the step then
    and of the next one.
    """
    if left.exists():
        time.sleep(max(0.0, left.stat().st_mtime + 2 * _STEP - time.time()))


def give_phones(site: Site, officials: list[Official], needs: Needs) -> None:
    """SIMs or passkeys, where the scenario needs them; they are kept with the site."""
    file = site.folder / "secrets" / "phones.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for official in officials:
        official.extra.update(known.get(official.credential_id, {}))
    if needs.sim:
        sims.enrol(site.command, officials)
    if needs.passkey:
        passkeys.enrol(site.issuer, site.consent, officials)
    known |= {each.credential_id: each.extra for each in officials if each.extra}
    file.touch(mode=0o600)
    file.write_text(json.dumps(known), encoding="utf-8")


def sign_in_all(site: Site, officials: Iterable[Official]) -> None:
    """A live session for each."""
    now = time.time_ns() // 1_000_000
    rows = []
    for official in officials:
        row_id, secret = new_id(now), secrets.token_urlsafe(32)
        official.session = f"{row_id}.{secret}"
        digest = hashlib.sha256(secret.encode("ascii")).digest()
        rows.append((row_id, digest, official.subscriber_id, now, now, now + _SESSION_MS))
    columns = "id, secret_hash, subscriber_id, created_at, last_used_at, expires_at"
    insert_rows(site, "login_session", columns, rows)


def insert_rows(site: Site, table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    """Many rows at once: COPY into PostgreSQL, one transaction in SQLite."""
    if site.postgres is not None:
        with (
            site.postgres.connect() as connection,
            connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(columns.split(",")))
    with _sqlite(site.folder / "rssp.sqlite3") as file:
        file.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608 - names from here


@contextmanager
def _sqlite(file: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file, timeout=30)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def new_id(now_ms: int) -> str:
    """An identifier as the service makes them: 48 bits of time, 80 random ones, base 32."""
    number = (now_ms & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def _official(told: dict[str, str]) -> Official:
    secret = parse_qs(urlsplit(told["otpauth_uri"]).query)["secret"][0]
    return Official(
        username=told["username"],
        subscriber_id=told["subscriber_id"],
        credential_id=told["credential_id"],
        password=told["password"],
        pin=told["pin"],
        totp=secret,
    )


def _write_list(file: Path, prefix: str, kind: str, count: int) -> None:
    with file.open("w", encoding="utf-8", newline="") as text:
        lines = csv.writer(text)
        lines.writerow(["username", "full_name", "kind"])
        for number in range(count):
            name = f"Sở số {number}" if kind == "organisation" else _name(number)
            lines.writerow([f"{prefix}.{number:07}", name, kind])


def _name(number: int) -> str:
    family, middle = _FAMILY[number % len(_FAMILY)], _MIDDLE[number // 5 % len(_MIDDLE)]
    return f"{family} {middle} {_GIVEN[number // 25 % len(_GIVEN)]}"
