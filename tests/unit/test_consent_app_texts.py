"""Both catalogues are whole, and nothing on any page is left untranslated."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import cache
from gettext import GNUTranslations
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import consent_app
from consent_app import appearance, installed, language, site
from consent_app.answers import (
    Attached,
    Denial,
    Details,
    Document,
    ServiceRequest,
    SignatureRequest,
    SimOffer,
    SimQuestion,
    State,
    Waiting,
)
from consent_app.appearance import Appearance
from consent_app.config import BrandConfig, OpenidConfig
from consent_app.cookies import Notice
from consent_app.kept import kept
from consent_app.passkey_api import Passkeys
from consent_app.phone_api import Push
from consent_app.report import Report
from consent_app.rssp_account import Account, History, OpenSession, PastRequest, Receipt, Record
from consent_app.rssp_sign_in import Happened, Held, Holdings, Password, SignInPasskey
from remote_signing.rssp import account_view
from tests.support import reports
from tests.support.consent_api import FakeRssp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from babel.messages.catalog import Catalog
    from jinja2 import Environment

FOLDER = Path(consent_app.__file__).parent
VALIDATOR = FOLDER.parent / "remote_signing" / "rssp" / "validation"
OPEN, CLOSE = "⟦", "⟧"
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
# The same in every language: names of languages, figures, marks, ETSI's names for results.
UNTRANSLATED = re.compile(
    r"(?:VI|EN|Tiếng Việt|English|\d+ [kM]B|(?:TOTAL-PASSED|TOTAL-FAILED|INDETERMINATE)?[\W\d_]*)"
)

NOTICES = (
    *("wrong", "locked", "disabled", "certificate_expired", "incomplete"),
    *("unavailable", "unknown", "answered", "session_over", "signed_out"),
    *("entry_added", "entry_removed", "entry_password", "session_ended", "settings_kept"),
    *("pin_chosen",),
    *("sim_busy", "sim_asked_often", "sim_suspended", "unmatched", "mismatched", "frozen"),
    *("batch", "batch_partly", "push_ended"),
)
PIN_FAULTS = (
    *("", "incomplete", "differ", "shape", "run", "repetition", "date", "common", "same"),
    *("wrong", "locked", "not_offered", "changed", "away", "unknown"),
)
PASSKEY_NOTICES = (
    *("passkey_wrong", "passkey_new", "passkey_copied", "passkey_added", "passkey_removed"),
    *("passkey_synced", "passkey_known", "passkey_many", "passkey_by_officer"),
    *("passkey_refused", "passkey_changed", "passkey_code"),
)


def messages() -> set[tuple[str, ...]]:
    """What the templates say, as (singular,) or (singular, plural)."""
    found = extract_from_dir(
        FOLDER / "templates",
        method_map=[("**.html", "jinja2")],
        options_map={"**.html": {"newstyle_gettext": "true"}},
        keywords={"_": None, "ngettext": (1, 2)},
    )
    return {_forms(message) for _, _, message, _, _ in found}


def _forms(message: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else tuple(message or ())


def catalogue(name: str) -> Catalog:
    with (FOLDER / "locales" / name / "LC_MESSAGES" / "consent_app.po").open("rb") as lines:
        return read_po(lines, locale=name, abort_invalid=True)


@pytest.mark.parametrize("name", language.LANGUAGES)
def test_a_catalogue_holds_every_message_and_no_other(name: str) -> None:
    known = {_forms(message.id) for message in catalogue(name) if message.id}
    assert known == messages()


@pytest.mark.parametrize("name", language.LANGUAGES)
def test_every_message_is_translated_with_its_placeholders(name: str) -> None:
    texts = catalogue(name)
    for message in texts:
        if not message.id:
            continue
        strings = _forms(message.string)
        assert not message.fuzzy, message.id
        assert all(strings), message.id
        assert len(strings) == (texts.num_plurals if message.pluralizable else 1)
        wanted = set(PLACEHOLDER.findall(" ".join(_forms(message.id))))
        assert all(set(PLACEHOLDER.findall(string)) == wanted for string in strings), message.id


def test_no_vietnamese_text_is_english() -> None:
    texts = [message for message in catalogue("vi") if message.id]
    assert [
        message.id for message in texts if set(_forms(message.string)) & set(_forms(message.id))
    ] == []


def test_vietnamese_texts_are_composed_and_use_the_terms_of_the_field() -> None:
    texts = " ".join(" ".join(_forms(message.string)) for message in catalogue("vi") if message.id)
    assert unicodedata.is_normalized("NFC", texts)
    for term in (
        *("chứng thư số", "Mã PIN ký số", "Mã xác thực một lần", "số/ký hiệu"),
        *("Từ chối", "Phê duyệt"),
    ):
        assert term in texts


class Marked(GNUTranslations):
    """Every text in marks, so that what bears none was never given to be translated."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"{OPEN}{msgid1 if n == 1 else msgid2}{CLOSE}"


class Texts(HTMLParser):
    """What a person reads or hears of a page: texts, and attributes that are spoken."""

    SPOKEN = ("aria-label", "alt", "title", "placeholder")
    SILENT = ("style", "script")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent = tag in self.SILENT
        self.found += [value for name, value in attrs if name in self.SPOKEN and value]

    def handle_endtag(self, _tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def unmarked(html: str) -> list[str]:
    """The texts of a page outside the marks, data (here: figures) aside."""
    parser = Texts()
    parser.feed(html)
    # One text may hold another as a value ("Time left: 4 minutes"): innermost first.
    text = "\0".join(parser.found)
    inner = re.compile(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}")
    while inner.search(text):
        text = inner.sub("", text)
    parts = (part.strip() for part in text.split("\0"))
    return [part for part in parts if not UNTRANSLATED.fullmatch(part)]


def pages() -> Iterator[tuple[str, dict[str, object]]]:
    """Every template in every state that it knows."""
    fake = FakeRssp()
    fake.add_request(count=7, description="77", client_name="77", documents=_documents(7))
    fake.add_request("0" * 26, 1, description=None, client_name="77", documents=[])
    fake.add_service(client_name="77")
    requests = [SignatureRequest.model_validate(_data(item)) for item in fake.requests.values()]
    service = ServiceRequest.model_validate(_data(fake.services.popitem()[1]))
    signer = requests[0].subscriber
    now = datetime.now(UTC)
    requests += list(_came_by_themselves(requests[0]))
    waiting = {"now": now, "subscriber": signer, "requests": requests, "total": 2, "waiting": 9}
    full = Waiting.model_validate(waiting | {"after": "7"}, from_attributes=True)
    for refused in ("password", "passkey", "openid", "openid_away", ""):
        yield "sign_in.html", _sign_in() | {"refused": refused}
    for kind in (*NOTICES, *PASSKEY_NOTICES):
        yield "sign_in.html", _sign_in() | {"notice": Notice(kind, attempts_left=4)}
        yield "request.html", {"asked": requests[0], "signer": signer, "notice": Notice(kind)}
    for left in (0, 1, 60, 61, 122, 3601):
        late = requests[1].model_copy(update={"expires_at": requests[1].now + timedelta(0, left)})
        yield "request.html", {"asked": late, "signer": signer}
    yield from _desk_pages(full, requests[2:])
    yield from _account_pages(requests[2])
    yield from _holding_pages(requests[0])
    yield from _sim_pages(requests[0])
    yield from _passkey_pages(requests[0])
    yield from _document_pages(requests[0])
    for state in ("AUTHORIZED", "SIGNED", "DENIED", "EXPIRED", "REVOKED", "FAILED"):
        yield "outcome.html", {"asked": requests[0], "state": state, "signer": signer}
    for state in ("GRANTED", "DENIED", "EXPIRED"):
        yield "service_outcome.html", {"asked": service, "state": state, "signer": signer}
    yield "service.html", {"asked": service, "signer": signer}
    for kind in (
        *("unavailable", "unsettled", "unknown", "forged", "malformed", "words"),
        *("server_error", "refused"),
    ):
        yield "error.html", {"kind": kind, "kept": None}
    sent = dict.fromkeys(("text", "username", "name", "password", "pin", "otp", "kind"), "7")
    yield "error.html", {"kind": "unavailable", "kept": kept("/", sent)}
    for kind in installed.OFFLINE:
        yield "offline.html", {"kind": kind}
    yield from _validation_pages()
    yield from _settings_pages()


def _settings_pages() -> Iterator[tuple[str, dict[str, object]]]:
    for look in (Appearance(), Appearance("dark", 200, is_simple=True)):
        sizes = {"themes": appearance.THEMES, "text_sizes": appearance.TEXT_SIZES}
        yield "settings.html", {"look": look, **sizes}


def _validation_pages() -> Iterator[tuple[str, dict[str, object]]]:
    for reason in ("", "77", *_words("validate.html", "words")):
        yield "validate.html", {"reason": reason}
    for found in _reports():
        yield "report.html", {"report": Report.model_validate(_figures(found))}


def _words(template: str, name: str) -> list[str]:
    """The names that a template has words for."""
    source = (FOLDER / "templates" / template).read_text("utf-8")
    block = source.partition(f"set {name} = ")[2].partition("} %}")[0]
    return re.findall(r'^  "(\w+)": _\(', block, re.MULTILINE)


def _reports() -> Iterator[dict[str, object]]:
    parts = "report_parts.html"
    yield reports.report(warnings=["77", *_words(parts, "cautions")])
    yield reports.report(reports.signature(), reports.signature(signer=None, changes=None))
    nothing = {"certificate": False, "path": False, "status": False, "time_stamp": False}
    for value, main in ((False, "TOTAL-FAILED"), (None, "INDETERMINATE")):
        decree = {"certificate_valid_at_signing": value, "content_intact": value}
        yield reports.report(
            reports.signature(
                indication=main,
                sub_indication="77",
                reasons=["77", *_words(parts, "reasons")],
                decree={**decree, "path_valid": False, "attached": nothing},
                times={"claimed": None, "proven": None},
                revocation={"state": "unknown", "revoked_at": None},
            )
        )
    for state in ("revoked", "good"):
        revocation = {"state": state, "revoked_at": reports.TIME}
        yield reports.report(reports.signature(revocation=revocation))
    for level in ("none", "archive", "forms", "annotations", "other"):
        yield reports.report(reports.signature(changes={"level": level, "allowed": False}))


def _figures(value: Any, name: str = "") -> Any:
    """``value`` with figures for everything that comes from a file."""
    if isinstance(value, dict):
        return {key: _figures(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_figures(each, name) for each in value]
    kept = {"indication", "state", "warnings", "reasons", "reason", "kind", "version", "size"}
    times = {"validated_at", "claimed", "proven", "time", "revoked_at", "not_before", "not_after"}
    is_level = name == "level" and value and not value.startswith("B-")
    is_text = isinstance(value, str) and name not in kept | times and not is_level
    return "77" if is_text else value


def _desk_pages(
    full: Waiting, asked: list[SignatureRequest]
) -> Iterator[tuple[str, dict[str, object]]]:
    signer = full.subscriber
    for count, others in ((0, 0), (3, 0), (3, 1)):
        chosen = {"chosen": asked[:count], "others": others, "left_out": ["7"]}
        for has_passkey in (False, True):
            yield "batch.html", {**chosen, "has_passkey": has_passkey, "signer": signer}
    none = full.model_copy(update={"requests": []})
    for lines in (full, none, none.model_copy(update={"waiting": 0})):
        yield "waiting.html", {"waiting": lines, "signer": signer, "wanted": {"q": "7"}}
        yield "waiting.html", {"waiting": lines, "signer": signer, "wanted": {}}
    for each in asked:
        yield "request.html", {"asked": each, "signer": signer, "is_in_turn": True}
        for state in ("DENIED", "EXPIRED"):
            yield "outcome.html", {"asked": each, "state": state, "signer": signer}


def _came_by_themselves(plain: SignatureRequest) -> Iterator[SignatureRequest]:
    """With everything that a portal may say, in every degree and with every answer."""
    degrees: tuple[Any, ...] = ("normal", "urgent", "veryUrgent", "express")
    reasons = (
        *("not_requested", "not_competent", "content", "form", "attachments", "duplicate"),
        *("other", "code_mismatch"),
    )
    for number, reason in enumerate(reasons):
        is_long = number % 2 == 0
        details = Details(
            urgency=degrees[number % 4],
            deadline=plain.now if is_long else None,
            label="77" if is_long else None,
            reference="77" if number % 3 else None,
            document_name="77" if is_long else None,
            agency_names=["77"] if is_long else [],
        )
        kind: Any = "returned" if is_long else "refused"
        denial = Denial(kind=kind, reason=reason, text="77" if is_long else None)
        codes = {"codes": ["0007"] * 3, "verification_code": None}
        yield plain.model_copy(update={"details": details, "denial": denial} | codes)


def _account_pages(asked: SignatureRequest) -> Iterator[tuple[str, dict[str, object]]]:
    signer, now = asked.subscriber, asked.now
    states: tuple[State, ...] = ("SIGNED", "SIGNING", "DENIED", "EXPIRED", "REVOKED", "FAILED")
    lines = [
        PastRequest(
            id="0" * 26,
            client_name="77",
            description=None if number else "77",
            details=asked.details if number % 2 else None,
            num_signatures=1,
            state=state,
            denial=None if number % 2 else asked.denial,
            created_at=now,
            at=now,
        )
        for number, state in enumerate(states)
    ]
    full = History(subscriber=signer, requests=lines, after="7")
    for found in (full, full.model_copy(update={"requests": []})):
        for wanted in ({}, {"q": "7"}):
            yield "history.html", {"history": found, "signer": signer, "wanted": wanted}
    kinds = (
        *("activation.requested", "consent.code_matched", "consent.code_mismatched"),
        *("consent.given", "consent.denied", "signing.done", "signing.unknown"),
        *("activation.expired", "activation.revoked", "activation.frozen"),
    )
    records = [Record(kind=kind, at=now, number=7, leaf_sha256="0" * 64) for kind in kinds]
    for line, factor in zip(lines, ("pin_totp", "sim", "passkey", "other", None), strict=False):
        documents = asked.documents if factor else []
        rest = {"documents": documents, "hash_algorithm": None, "factor": factor}
        given = line.model_dump() | rest | {"subscriber": signer, "records": records}
        receipt = Receipt.model_validate(given, from_attributes=True)
        yield "receipt.html", {"receipt": receipt, "signer": signer}
    opened = [
        OpenSession(id="7", created_at=now, last_used_at=now, is_this=is_this)
        for is_this in (True, False)
    ]
    for frozen in (0, 1, 2):
        shown = Account(subscriber=signer, sessions=opened, frozen=frozen)
        for notice in (None, Notice("frozen")):
            values: dict[str, object] = {"account": shown, "signer": signer, "notice": notice}
            yield "lost_phone.html", values
            yield from _security_pages(values, asked, frozen)


def _security_pages(
    values: dict[str, object], asked: SignatureRequest, wrong: int
) -> Iterator[tuple[str, dict[str, object]]]:
    held, passkeys = _holdings(asked), passkeys_found(asked, asked.now)
    last = Happened(kind="session.opened", at=asked.now)
    more: dict[str, object] = {"is_calm": False, "wrong": wrong, "last_in": last}
    yield "security.html", values | more | {"held": held, "passkeys": passkeys}
    yield "security.html", values | more | {"held": held, "passkeys": None}
    emptied: dict[str, Any] = {"credentials": [], "sign_in_passkeys": [], "events": []}
    nothing = held.model_copy(update=emptied)
    calm: dict[str, object] = {"is_calm": True, "wrong": 0, "last_in": None}
    news = {"passkeys": passkeys.model_copy(update={"credentials": [], "notices": []})}
    for is_own in (None, False, True):
        password = is_own is not None and Password(is_own=is_own, since=asked.now)
        age = {"held": nothing.model_copy(update={"password": password or None})}
        yield "security.html", values | calm | news | age


def _holdings(asked: SignatureRequest) -> Holdings:
    """Certificates in every state, and everything that may happen."""
    states = (
        *("valid", "frozen", "locked", "suspended", "revoked", "expired", "disabled"),
        "uncertified",
    )
    credentials = [
        Held(
            id="0" * 26,
            description="77" if number % 2 else None,
            state=state,
            certificate=None if state == "uncertified" else asked.certificate,
            has_pin=True,
            has_totp=True,
            may_choose_pin=bool(number % 2),
            sims=["77"],
            passkeys=["77"] if state in {"frozen", "revoked"} else [],
        )
        for number, state in enumerate(states)
    ]
    entry = SignInPasskey(id="0" * 26, name="77", registered_at=asked.now, last_used_at=asked.now)
    return Holdings(
        subscriber=asked.subscriber,
        credentials=credentials,
        sign_in_passkeys=[entry],
        events=[Happened(kind=kind, at=asked.now) for kind in account_events()],
    )


def account_events() -> tuple[str, ...]:
    """The kinds that the rssp shows (account_view.SHOWN); a test of it compares."""
    return (
        *("session.opened", "session.refused", "account.activated", "account_code.issued"),
        *("account_code.refused", "subscriber.password_set", "subscriber.changed"),
        *("login.password", "openid.bound", "openid.unbound"),
        *("sign_in_passkey.added", "sign_in_passkey.dropped", "sign_in_passkey.copied"),
        *("credential.certified", "credential.factors_added", "credential.factor_dropped"),
        *("credential.pin_changed", "credential.frozen"),
        *("credential.unfrozen", "credential.unlocked"),
        *("credential.disabled", "credential.enabled", "credential.rule_changed"),
        *("credential.suspended", "credential.resumed"),
        *("credential.revoked", "credential.destroyed"),
    )


def test_every_event_that_the_account_shows_has_words() -> None:
    assert set(account_events()) == set(account_view.SHOWN)
    english = site.environment(language.catalogue("en"), site.load_static())
    said = english.from_string(
        '{% import "holding_parts.html" as holding with context %}{{ holding.event(kind) }}'
    )
    words = {kind: said.render(kind=kind).strip() for kind in (*account_events(), "of.later")}
    assert [kind for kind, text in words.items() if text == "Another change"] == ["of.later"]


def _holding_pages(asked: SignatureRequest) -> Iterator[tuple[str, dict[str, object]]]:
    full, signer = _holdings(asked), asked.subscriber
    none = full.model_copy(update={"credentials": [], "sign_in_passkeys": [], "events": []})
    for found in (full, none):
        for page in ("certificates.html", "welcome.html"):
            yield page, {"found": found, "signer": signer}
        for browsers in (0, 2):
            push = Push(subscriber=signer, public_key="7" * 87, browsers=browsers)
            yield "devices.html", {"found": found, "signer": signer, "push": push}
    yield "device_add.html", {"signer": signer}
    yield "device_remove.html", {"signer": signer, "passkey": full.sign_in_passkeys[0]}
    yield "delegation.html", {"signer": signer}
    yield "help.html", {}
    for fault in ("", "code", "short", "differ"):
        yield "activate.html", {"fault": fault, "code": ""}
    for fault in PIN_FAULTS:
        for is_first in (True, False):
            values = {"held": full.credentials[0], "signer": signer, "is_first": is_first}
            yield "pin.html", values | {"fault": fault, "left": 7, "code": "77"}


def _sim_pages(plain: SignatureRequest) -> Iterator[tuple[str, dict[str, object]]]:
    for asked in _with_sims(plain):
        yield "request.html", {"asked": asked, "signer": asked.subscriber}
        values: dict[str, object] = {"question": asked.sim, "reload": 4}
        yield "sim.html", values | {"asked": asked, "signer": asked.subscriber}


def _passkey_pages(plain: SignatureRequest) -> Iterator[tuple[str, dict[str, object]]]:
    more: dict[str, object]
    for day in (-1, 1):
        asked = plain.model_copy(update={"passkey_from": plain.now + timedelta(day)})
        yield "request.html", {"asked": asked, "signer": asked.subscriber}
        found = passkeys_found(plain, asked.passkey_from)
        values: dict[str, object] = {"found": found, "signer": found.subscriber}
        holding = found.credentials[0]
        yield "passkeys.html", values
        for made in ("", "77"):
            more = {"holding": holding, "made": made, "called": ""}
            yield "passkey_add.html", values | more
        more = {"passkey": holding.passkeys[0], "token": "77"}
        yield "passkey_remove.html", values | more
    for credentials in ([], [holding.model_copy(update={"passkeys": []})]):
        emptied = found.model_copy(update={"credentials": credentials, "notices": []})
        yield "passkeys.html", {"found": emptied, "signer": found.subscriber}


def _document_pages(plain: SignatureRequest) -> Iterator[tuple[str, dict[str, object]]]:
    remarks = ["embedded_files", "layers", "fields", "large_page"]
    for basis, told, pages, label in (("file", [], None, "77"), ("range", remarks, 2, None)):
        members = {"sha256": "0" * 64, "size": 77, "media_type": "application/pdf"}
        attached = Attached.model_validate(
            members | {"basis": basis, "remarks": told, "pages": pages}
        )
        item = Document(label=label, digest="00", attached=attached)
        for others in ([], plain.documents[:1], plain.documents):
            asked = plain.model_copy(update={"documents": [item, *others]})
            yield "request.html", {"asked": asked, "signer": asked.subscriber}
        shown = {"asked": asked, "signer": asked.subscriber, "item": item, "position": 0}
        for text, next_page in (("77", None), (None, 77), (None, None)):
            plain_view = {"is_plain": True, "text": text, "pages": [7], "next_page": next_page}
            yield "document.html", shown | plain_view
        yield "document.html", shown | {"is_plain": False}


def passkeys_found(plain: SignatureRequest, usable_from: datetime | None) -> Passkeys:
    moments = {"registered_at": plain.now, "usable_from": usable_from}
    passkey = {"factor_id": "0" * 26, "name": "77", "is_synced": True, **moments}
    holding: dict[str, object] = {
        "id": "0" * 26,
        "description": None,
        "certificate": plain.certificate,
        "passkeys": [passkey],
    }
    notices: list[dict[str, object]] = [
        {
            "id": "0" * 26,
            "kind": kind,
            "name": None if kind == "pin_changed" else "77",
            "created_at": plain.now,
            "usable_from": usable_from if kind == "passkey_added" else None,
        }
        for kind in ("passkey_added", "passkey_dropped", "passkey_copied", "pin_changed")
    ]
    members = {
        "now": plain.now,
        "subscriber": plain.subscriber,
        "credentials": [holding],
        "notices": notices,
    }
    return Passkeys.model_validate(members, from_attributes=True)


def _with_sims(asked: SignatureRequest) -> Iterator[SignatureRequest]:
    for is_active, state, cause in ((True, "WAITING", None), (False, "REFUSED", "77")):
        offer = SimOffer(
            factor_id="0" * 26,
            number="77",
            is_active=is_active,
            cause=None if is_active else "77",
        )
        question = SimQuestion.model_validate(sim_question(state=state, cause=cause))
        yield asked.model_copy(update={"sims": [offer], "sim": question})
    yield asked.model_copy(
        update={"sims": [offer.model_copy(update={"is_active": True})]} | {"sim": question}
    )


def sim_question(**changes: object) -> dict[str, object]:
    return {
        "state": "WAITING",
        "version": 1,
        "number": "77",
        "display_text": "77",
        "verification_code": "7777",
        "expires_at": "2026-01-01T00:00:00Z",
        "is_delivered": False,
        "cause": None,
        **changes,
    }


def _sign_in() -> dict[str, object]:
    offered = OpenidConfig(name="77", name_en="77", origin="https://a.example")
    return {"after": "/", "username": "", "refused": "", "openid": offered}


def _documents(count: int) -> list[dict[str, str | None]]:
    return [{"label": "77" if number % 2 else None, "digest": "0" * 64} for number in range(count)]


def _data(item: dict[str, object]) -> dict[str, object]:
    """``item`` with figures for everything that comes from outside."""
    signer = {"full_name": "77", "position": "77", "agency": "77"}
    certificate = {
        "holder": "77",
        "organisation": "77",
        "issuer": "77",
        "serial": "00",
        "not_before": "2026-01-01T00:00:00Z",
        "not_after": "2027-01-01T00:00:00Z",
    }
    return item | {"subscriber": signer, "certificate": certificate, "hash_algorithm": "77"}


def rendered(template: str, values: dict[str, object]) -> str:
    given: dict[str, object] = {
        "brand": BrandConfig("7", "7", "7", "7", "7"),
        "language": "vi",
        "notice": None,
        "request_id": "7",
        "here": "/",
        "again": "/",
        "has_script": True,
        "is_signed_out": False,
        "kept_at": datetime(2026, 1, 1, tzinfo=UTC),
        "form_token": lambda _path: "7",
        "is_in_turn": False,
        "look": Appearance(),
        "has_session": True,
        **values,
    }
    return marked_templates().get_template(template).render(given)


@cache
def marked_templates() -> Environment:
    return site.environment(Marked(), site.load_static())


SIMPLER = {"waiting.html", "request.html", "security.html", "batch.html"}  # in simple mode
TEMPLATES = sorted(path.name for path in (FOLDER / "templates").glob("*.html"))


@pytest.mark.parametrize("template", [name for name in TEMPLATES if "parts" not in name])
def test_no_text_is_left_untranslated(template: str) -> None:
    states = [values for name, values in pages() if name == template]
    assert states or template == "frame.html"
    looks = [Appearance()]
    if template in SIMPLER:
        looks.append(Appearance(is_simple=True))
    for values, look in product(states, looks):
        assert unmarked(rendered(template, {"look": look} | values)) == []


def test_the_check_finds_a_text_that_was_forgotten() -> None:
    assert unmarked(f"<p>{OPEN}a {OPEN}b{CLOSE}{CLOSE} 77</p><p title='x'>Forgotten</p>") == [
        "x",
        "Forgotten",
    ]


def test_every_name_of_the_validator_has_words() -> None:
    source = "".join(path.read_text("utf-8") for path in VALIDATOR.rglob("*.py"))
    problems = set(re.findall(r'Problem\(\s*"[A-Z_]+",\s*"(\w+)"', source))
    problems |= set(re.findall(r'^    "[A-Z_]+": "(\w+)",$', source, re.MULTILINE))
    of_time_stamps = {each for each in problems if each.startswith("stamp_")}  # not told one by one
    assert set(_words("report_parts.html", "reasons")) >= problems - of_time_stamps
    refused = set(re.findall(r'unusable\("(\w+)"', source)) | {"too_slow", "too_heavy"}
    page = {"too_large", "unavailable", "no_file"}
    assert set(_words("validate.html", "words")) == refused | page


def test_every_notice_has_words_in_every_language() -> None:
    source = (FOLDER / "templates" / "parts.html").read_text("utf-8")
    assert set(re.findall(r'notice\.kind == "(\w+)"', source)) == set(NOTICES)
    source = (FOLDER / "templates" / "passkey_parts.html").read_text("utf-8")
    assert set(re.findall(r'if kind == "(\w+)"', source)) == set(PASSKEY_NOTICES)
