"""The methods of CSC API v2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.csc import auth, timestamp
from remote_signing.rssp.csc.dispatch import Version, for_bearer, for_caller
from remote_signing.rssp.csc.dispatch import router as _router
from remote_signing.rssp.csc.v2 import (
    credentials,
    enrolment,
    polling,
    schemas,
    sign_doc,
    signatures,
)
from remote_signing.rssp.csc.v2.info import info
from remote_signing.rssp.csc.v2.parameters import V2
from remote_signing.rssp.csc.wire import answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from remote_signing.rssp.csc.dispatch import Call, Method

PREFIX = "/csc/v2"


async def _info(call: Call) -> Response:
    """Needs no authorisation. ``lang`` falls back when it is unknown, so nothing reads it."""
    (await call.parameters()).client_data()
    config = call.services.config
    return answer(info(config, call.version.served(config)))


METHODS: Mapping[str, Method] = {
    "info": _info,
    "auth/login": auth.login,
    "auth/revoke": auth.revoke,
    "credentials/list": for_caller(schemas.read_list, credentials.list_credentials),
    "credentials/info": for_caller(schemas.read_info, credentials.info),
    "credentials/authorize": for_caller(schemas.read_authorize, credentials.authorize),
    "credentials/authorizeCheck": for_caller(
        schemas.read_authorize_check, credentials.authorize_check
    ),
    "credentials/getChallenge": for_caller(schemas.read_get_challenge, credentials.get_challenge),
    "credentials/extendTransaction": for_bearer(schemas.read_extend, signatures.extend),
    "credentials/create": for_caller(enrolment.read_create, enrolment.create),
    "credentials/delete": for_caller(enrolment.read_delete, enrolment.delete),
    "signatures/signHash": for_bearer(schemas.read_sign_hash, signatures.sign_hash),
    "signatures/signDoc": sign_doc.sign_doc,
    "signatures/prepareDoc": sign_doc.prepare_doc,
    "signatures/signPolling": for_caller(polling.read, polling.poll, polling.give),
    "signatures/timestamp": for_caller(timestamp.read, timestamp.stamp),
}
"""What is served; ``info`` tells exactly these. Any other method is 501."""

VERSION = Version(
    prefix=PREFIX,
    methods=METHODS,
    spelling=V2,
    conditions={
        "auth/login": auth.is_offered,
        "signatures/signPolling": polling.is_offered,
        "signatures/prepareDoc": lambda config: not config.csc.strict,  # not in the standard
    },
)
router = _router(VERSION)
