"""What a client's request says in words: its bounds, and the text that the challenge binds.

See :mod:`.activation`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from remote_signing import algorithms
from remote_signing.errors import CredentialUnknown, InvalidInput, TooManySignatures
from remote_signing.identifiers import is_id
from remote_signing.rssp import attached, request_details
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from remote_signing.rssp.activation_model import NewActivation
    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

_LONGEST_TEXT = 2000
_LONGEST_DISPLAY = 3900  # characters; the SAM takes 4,000


def check(services: Services, new: NewActivation) -> None:
    """Refuse what no credential could allow, before anything is done."""
    if not is_id(new.credential_id):
        raise CredentialUnknown("malformed credential id")
    if not 0 < new.num_signatures <= services.config.policy.max_signatures:
        raise TooManySignatures(f"{new.num_signatures} signatures", parameter="numSignatures")
    if new.hashes and len(new.hashes) != new.num_signatures:
        raise InvalidInput("as many hashes as signatures", parameter="numSignatures")
    if new.labels and len(new.labels) != len(new.hashes):
        raise InvalidInput("as many labels as hashes", parameter="hashes")
    if new.hashes:
        algorithms.check_digests(algorithms.digest_named(new.hash_algorithm or ""), new.hashes)
    texts = [new.description, new.client_data, new.oauth_state, *new.labels]
    if any(text is not None and len(text) > _LONGEST_TEXT for text in texts):
        raise InvalidInput("a text is too long", parameter="description")
    details = [] if new.details is None else new.details.texts
    shown = [text for text in (new.description, *new.labels, *details) if text is not None]
    if not all(map(is_showable, shown)):
        raise InvalidInput("a text does not show what it says", parameter="description")
    _check_deadline(services, new)


def _check_deadline(services: Services, new: NewActivation) -> None:
    deadline = None if new.details is None else new.details.deadline_ms
    ahead = 1 if deadline is None else deadline - services.now_ms()
    if not 0 < ahead <= request_details.LONGEST_DEADLINE_MS:
        raise InvalidInput("the deadline is past or too far", parameter="requestDetails.deadline")


def ends_at(services: Services, new: NewActivation, now_ms: int) -> int:
    """Until when the signer may answer.

    A request with details waits as long as one on a desk does; its deadline is its end.
    """
    lifetimes = services.config.lifetimes
    if new.details is None:
        return now_ms + lifetimes.activation * 1000
    longest = now_ms + lifetimes.decoupled * 1000
    deadline = new.details.deadline_ms
    return longest if deadline is None else min(longest, deadline)


def display_text(services: Services, new: NewActivation) -> str:
    """What the signer is shown, as the challenge binds it: who asks, for what, which documents."""
    labels = [label or "" for label in new.labels]
    details = request_details.lines(new.details)
    details += attached.lines(new.attached)
    text = "\n".join([_client_name(services, new), new.description or "", *labels, *details])
    if len(text) <= _LONGEST_DISPLAY:
        return text
    # The challenge binds a digest of this text, so a digest inside it binds the rest as well.
    return f"{text[: _LONGEST_DISPLAY // 2]}\n{hashlib.sha256(text.encode()).hexdigest()}"


def search_text(services: Services, new: NewActivation) -> str:
    """What the signer's search looks at."""
    details = request_details.RequestDetails() if new.details is None else new.details
    texts = (_client_name(services, new), new.description, *new.labels, details.reference)
    return request_details.searchable((*texts, *details.texts))


def _client_name(services: Services, new: NewActivation) -> str:
    client = services.clients.get(new.client_id)
    return new.client_id if client is None else client.name


def request_text(new: NewActivation, display: str) -> str:
    """The request as it is stored."""
    members: dict[str, JsonValue] = {
        "hash_algorithm": new.hash_algorithm,
        "hashes": base64_texts(new.hashes),
        "labels": list(new.labels),
        "description": new.description,
        "client_data": new.client_data,
        "lang": new.lang,
        "oauth_state": new.oauth_state,
        "authorization_details": new.authorization_details,
        "display_text": display,
        "details": None if new.details is None else new.details.members(),
        "attached": [each.members() for each in new.attached],
    }
    return json.dumps(members, ensure_ascii=False)


def base64_texts(values: tuple[bytes, ...]) -> list[JsonValue]:
    """Bytes as JSON has them."""
    return [base64.b64encode(value).decode("ascii") for value in values]
