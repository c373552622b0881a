"""The consent API for coming in described: passkeys that sign in, one-time codes, the account."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remote_signing.rssp.account_codes import LONGEST as LONGEST_CODE
from remote_signing.rssp.account_view import SHOWN
from remote_signing.rssp.openapi.consent import ALWAYS, NOTHING, OPENED, asked_for
from remote_signing.rssp.openapi.consent_passkeys import SCHEMAS as PASSKEYS
from remote_signing.rssp.openapi.operation import Answer, Asked
from remote_signing.rssp.openapi.schema import (
    Schema,
    base64_told,
    choice,
    flag,
    identifier,
    listing,
    members,
    moment,
    named,
    or_null,
    text,
    whole_object,
)
from remote_signing.rssp.sessions import LONGEST_PASSWORD
from remote_signing.rssp.sign_in_passkeys import LONGEST_NAME, MOST
from remote_signing.rssp.subscribers import SHORTEST_PASSWORD

if TYPE_CHECKING:
    from remote_signing.rssp.openapi.operation import Operation

_STATES = ("valid", "expired", "revoked", "suspended", "locked", "frozen", "disabled")
_PASSWORD = text("The signer's.", minLength=1, maxLength=LONGEST_PASSWORD)

SCHEMAS: dict[str, Schema] = {
    "Holding": whole_object(
        {
            "id": identifier(),
            "description": or_null(text()),
            "state": choice(_STATES, "The one word that matters to its owner."),
            "certificate": or_null(named("ShownCertificate")),
            "has_pin": flag(),
            "has_totp": flag(),
            "may_choose_pin": flag("With the registration authority's code."),
            "sims": listing(text(), "Their numbers."),
            "passkeys": listing(text(), "Their names."),
        },
        "A credential and what approves with it.",
    ),
    "SignInPasskey": whole_object(
        {
            "id": identifier(),
            "name": text(),
            "registered_at": moment(),
            "last_used_at": or_null(moment()),
        }
    ),
    "PasswordAge": whole_object(
        {"is_own": flag("Its owner chose it; else the operator set it."), "since": moment()},
        "Since when the password holds.",
    ),
    "AccountEvent": whole_object({"kind": choice(SHOWN), "at": moment()}),
}


def operations() -> list[Operation]:
    """Coming in, then what the account holds and how that changes."""
    return [*_coming_in(), *_account(), *_passkeys()]


def _given(**known: Schema) -> Asked:
    return Asked(whole_object(known, additionalProperties=False))


def _open(operation: Operation, *never: int) -> Operation:
    """The same for who has no session yet; ``never``: statuses that it does not have."""
    answers = {status: told for status, told in operation.answers.items() if status not in never}
    return replace(operation, security=(), answers=answers)


def _coming_in() -> list[Operation]:
    opened = {201: Answer("A session.", whole_object(OPENED))}
    chosen = text("From now on.", minLength=SHORTEST_PASSWORD, maxLength=LONGEST_PASSWORD)
    code = text("As it is typed.", minLength=1, maxLength=LONGEST_CODE)
    ask = asked_for(
        "POST",
        "/sign-in/options",
        ("Hỏi khoá truy cập để đăng nhập", "What to ask a passkey that signs in"),
        {200: Answer("The same for everybody.", named("PasskeyChange"))},
        asked=NOTHING,
    )
    sign_in = asked_for(
        "POST",
        "/sign-in",
        ("Đăng nhập bằng khoá truy cập", "Sign in with a passkey"),
        opened,
        asked=Asked(named("PasskeyAnswer")),
        about="Signs nothing: a consent asks for a factor of its credential.",
    )
    activate = asked_for(
        "POST",
        "/activate",
        ("Mở tài khoản bằng mã một lần", "Open the account with a one-time code"),
        opened,
        asked=_given(code=code, password=chosen),
        about="With the registration authority's code, once. Other sessions end.",
    )
    return [_open(ask, 401), _open(sign_in), _open(activate)]


def _account() -> list[Operation]:
    account: dict[str, Schema] = {
        **ALWAYS,
        "password": or_null(named("PasswordAge")),
        "credentials": listing(named("Holding"), "Oldest first."),
        "sign_in_passkeys": listing(named("SignInPasskey"), "Oldest first."),
        "events": listing(named("AccountEvent"), "Youngest first."),
    }
    certificate: dict[str, Schema] = {**ALWAYS, "certificate": base64_told("DER")}
    return [
        asked_for(
            "GET",
            "/account",
            ("Tài khoản của người ký", "What the account holds"),
            {200: Answer("The account.", whole_object(account))},
        ),
        asked_for(
            "GET",
            "/credentials/{name}/certificate",
            ("Tải chứng thư", "The certificate itself"),
            {200: Answer("The certificate.", whole_object(certificate))},
            refused=(404,),
        ),
        asked_for(
            "DELETE",
            "/sessions/{name}",
            ("Kết thúc một phiên đăng nhập", "End one session"),
            {204: Answer.empty("It is over.")},
        ),
    ]


def _passkeys() -> list[Operation]:
    name = text("Of the signer's choice.", minLength=1, maxLength=LONGEST_NAME)
    begun: dict[str, Schema] = {**ALWAYS, **PASSKEYS["PasskeyChange"]["properties"]}
    return [
        asked_for(
            "POST",
            "/sign-in/passkeys/options",
            ("Chuẩn bị thêm khoá truy cập đăng nhập", "Begin a passkey that signs in"),
            {200: Answer("What the browser needs.", whole_object(begun))},
            asked=NOTHING,
            refused=(403,),
            about=f"A signer has {MOST} at most.",
        ),
        asked_for(
            "POST",
            "/sign-in/passkeys",
            ("Thêm khoá truy cập đăng nhập", "Let a passkey sign in"),
            {201: Answer("It signs in from now on.", whole_object({"id": identifier()}))},
            asked=_given(passkey=named("NewPasskey"), name=name, password=_PASSWORD),
            refused=(403,),
        ),
        asked_for(
            "POST",
            "/sign-in/passkeys/{name}/drop",
            ("Bỏ khoá truy cập đăng nhập", "Remove a passkey that signs in"),
            {200: Answer("It opens nothing any more.", members({}, additionalProperties=False))},
            asked=_given(password=_PASSWORD),
            refused=(404,),
        ),
    ]
