"""The methods of CSC API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.csc import auth, timestamp
from remote_signing.rssp.csc.dispatch import Version, for_bearer, for_caller
from remote_signing.rssp.csc.dispatch import router as _router
from remote_signing.rssp.csc.v1 import credentials, schemas, signatures
from remote_signing.rssp.csc.v1.errors import retold
from remote_signing.rssp.csc.v1.info import info
from remote_signing.rssp.csc.v2.parameters import Spelling
from remote_signing.rssp.csc.v2.schemas import read_info
from remote_signing.rssp.csc.v2.signatures import extend
from remote_signing.rssp.csc.wire import answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from remote_signing.rssp.csc.dispatch import Call, Method

PREFIX = "/csc/v1"


async def _info(call: Call) -> Response:
    """Needs no authorisation."""
    await call.parameters()
    config = call.services.config
    return answer(info(config, call.version.served(config)))


METHODS: Mapping[str, Method] = {
    "info": _info,
    "auth/login": auth.login,
    "auth/revoke": auth.revoke,
    "credentials/list": for_caller(schemas.read_list, credentials.list_credentials),
    "credentials/info": for_caller(read_info, credentials.info),
    "credentials/authorize": for_caller(schemas.read_authorize, credentials.authorize),
    "credentials/extendTransaction": for_bearer(schemas.read_extend, extend),
    "credentials/sendOTP": for_caller(schemas.read_send_otp, credentials.send_otp),
    "signatures/signHash": for_bearer(schemas.read_sign_hash, signatures.sign_hash),
    "signatures/timestamp": for_caller(timestamp.read, timestamp.stamp),
}
"""What is served; ``info`` tells exactly these. Any other method is 501."""

VERSION = Version(
    prefix=PREFIX,
    methods=METHODS,
    # v2's names too: clients that know both versions mix them (docs/csc-divergences.md).
    spelling=Spelling(
        {
            "hashes": ("hash", "hashes"),
            "hashAlgorithmOID": ("hashAlgo", "hashAlgorithmOID"),
        }
    ),
    exact=Spelling({"hashes": ("hash",), "hashAlgorithmOID": ("hashAlgo",)}, strict=True),
    conditions={"auth/login": auth.is_offered},
    # The consortium's own tester asks these with GET.
    gets=frozenset({"info", "auth/login", "credentials/list"}),
    retold=retold,
)
router = _router(VERSION)
