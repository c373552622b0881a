"""Signing in by an identity provider described (docs/sign-in.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remote_signing.rssp.openapi.consent import OPENED, asked_for
from remote_signing.rssp.openapi.operation import Answer, Asked
from remote_signing.rssp.openapi.schema import Schema, or_null, text, whole_object
from remote_signing.rssp.openid_sign_in import LONGEST_CODE, LONGEST_TARGET

if TYPE_CHECKING:
    from remote_signing.rssp.openapi.operation import Operation

_BINDING = text("A secret of the browser, 256 random bits.", pattern="^[A-Za-z0-9_-]{43}$")
_TARGET = text("The page's own address to go on to.", minLength=1, maxLength=LONGEST_TARGET)


def operations() -> list[Operation]:
    """To the provider, and back."""
    begin = asked_for(
        "POST",
        "/sign-in/openid",
        ("Bắt đầu đăng nhập qua nhà cung cấp định danh", "Begin at the identity provider"),
        {200: Answer("Where the browser goes.", whole_object({"redirect_to": text()}))},
        asked=_given(binding=_BINDING, target=_TARGET),
        refused=(404,),
        about="Authorization code with PKCE, pushed where the provider takes that.",
    )
    opened: dict[str, Schema] = {**OPENED, "target": text()}
    finish = asked_for(
        "POST",
        "/sign-in/openid/answer",
        ("Đăng nhập qua nhà cung cấp định danh", "Sign in by the identity provider"),
        {201: Answer("A session.", whole_object(opened))},
        asked=_given(
            binding=_BINDING,
            state=or_null(text(minLength=1, maxLength=100)),
            code=or_null(text(minLength=1, maxLength=LONGEST_CODE)),
            iss=or_null(text("RFC 9207.", minLength=1, maxLength=500)),
            error=or_null(text(minLength=1, maxLength=100)),
        ),
        refused=(404,),
        about="In the browser that began it, once. Signs nothing.",
    )
    told = {status: answer for status, answer in begin.answers.items() if status != 401}  # noqa: PLR2004 - who begins is nobody yet
    return [replace(begin, security=(), answers=told), replace(finish, security=())]


def _given(**known: Schema) -> Asked:
    return Asked(whole_object(known, additionalProperties=False))
