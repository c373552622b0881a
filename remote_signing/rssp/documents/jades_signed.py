"""Header parameters of JAdES that the client may set (ETSI TS 119 182-1 V1.2.1 cl. 5.1.3, 5.2).

What goes into the protected header is taken apart and put together again here: nothing that this
module does not know gets in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from remote_signing import strict_json
from remote_signing.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.strict_json import JsonValue

    Check = Callable[[JsonValue], bool]

_LONGEST: Final = 500  # characters of a text
_MOST: Final = 10  # elements of an array
_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+-]{1,63}"  # noqa: S105 - RFC 6838 cl. 4.2, no secret
_MEDIA_TYPE: Final = re.compile(
    rf"{_TOKEN}(/{_TOKEN})?"
)  # RFC 7515 cl. 4.1.10: "application/" may lack
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,400}")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


def read(name: str, content: bytes) -> JsonValue:
    """The value of header parameter ``name``; None when it is unknown, or ``content`` is no good.

    ``content`` is JSON, of ``cty`` the media type itself.
    """
    if name == "cty":
        text = content.decode("ascii", "replace")
        return text if _MEDIA_TYPE.fullmatch(text) else None
    if name not in _CHECKS:
        return None
    try:
        value = strict_json.loads(content)
    except InvalidInput:
        return None
    return value if _CHECKS[name](value) else None


def _text(value: JsonValue) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _array(check: Check) -> Check:
    def checked(value: JsonValue) -> bool:
        return isinstance(value, list) and 0 < len(value) <= _MOST and all(map(check, value))

    return checked


def _object(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """An object with all of ``required``, at will of ``optional``, and no other member."""

    def checked(value: JsonValue) -> bool:
        if not isinstance(value, dict) or not value or not required.keys() <= value.keys():
            return False
        known = {**required, **optional}
        return all(name in known and known[name](each) for name, each in value.items())

    return checked


_uri = _matches(_URI)
_object_id = _object({"id": _uri}, {"desc": _text, "docRefs": _array(_uri)})  # cl. 5.4.1
_values = _object(
    {"mediaType": _matches(_MEDIA_TYPE), "encoding": _text, "qVals": _array(_text)}, {}
)
_digest_name = _matches(re.compile(r"S(256|384|512)"))
_PLACE: Final = (
    *("addressCountry", "addressLocality", "addressRegion"),
    *("postOfficeBoxNumber", "postalCode", "streetAddress"),
)
_CHECKS: Final[Mapping[str, Check]] = {
    "srCms": _array(_object({"commId": _object_id}, {})),  # cl. 5.2.3
    "sigPl": _object({}, dict.fromkeys(_PLACE, _text)),  # cl. 5.2.4
    "srAts": _object({"claimed": _array(_values)}, {}),  # cl. 5.2.5; certified ones are not ours
    "sigPId": _object(  # cl. 5.2.7
        {"id": _object_id, "digAlg": _digest_name, "digVal": _matches(_BASE64URL)},
        {"sigPQuals": _array(_object({"spURI": _uri}, {}))},
    ),
}
NAMES: Final = ("cty", *_CHECKS)
