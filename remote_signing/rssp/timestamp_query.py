"""Requests for time stamps and the answers to them, as RFC 3161 cl. 2.4 writes them."""

from __future__ import annotations

from typing import Literal

from asn1crypto import core, tsp

from remote_signing.sap import TimestampRequest

Failure = Literal[
    "bad_alg",
    "bad_request",
    "bad_data_format",
    "time_not_available",
    "unaccepted_policy",
    "unaccepted_extensions",
    "system_failure",
]
"""PKIFailureInfo (RFC 3161 cl. 2.4.2)."""

_LARGEST_NONCE = 1 << 256
_NO_PARAMETERS = (b"", b"\x05\x00")  # absent, or NULL (RFC 5754 cl. 2)


class QueryRefused(Exception):
    """No time stamp for this request; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure: Failure = failure


def read(body: bytes) -> TimestampRequest:
    """The TimeStampReq (DER) in ``body``; ``QueryRefused`` unless every part of it makes sense."""
    try:
        return _read(tsp.TimeStampReq.load(body, strict=True))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        # What asn1crypto raises for octets that are no such structure. AttributeError: for
        # an ObjectDescriptor, a type that it knows by name only (found by fuzzing).
        raise QueryRefused("bad_data_format") from None


def _read(query: tsp.TimeStampReq) -> TimestampRequest:
    imprint = query["message_imprint"]
    algorithm = imprint["hash_algorithm"]
    if query["version"].native != "v1":
        raise QueryRefused("bad_request")
    if query["extensions"].dump():
        raise QueryRefused("unaccepted_extensions")
    if algorithm["parameters"].dump() not in _NO_PARAMETERS:
        raise QueryRefused("bad_alg")
    nonce, policy = query["nonce"].native, query["req_policy"]
    if nonce is not None and not 0 <= nonce < _LARGEST_NONCE:
        raise QueryRefused("bad_request")
    return TimestampRequest(
        hash_algorithm_oid=algorithm["algorithm"].dotted,
        digest=imprint["hashed_message"].native,
        nonce=nonce,
        policy_oid=None if policy.native is None else policy.dotted,
        certificates=query["cert_req"].native,
    )


def granted(token: bytes) -> bytes:
    """The TimeStampResp (DER) that brings a token."""
    answer = {"status": {"status": "granted"}, "time_stamp_token": tsp.ContentInfo.load(token)}
    encoded: bytes = tsp.TimeStampResp(answer).dump()
    return encoded


def rejection(failure: Failure) -> bytes:
    """The TimeStampResp (DER) that tells of a failure."""
    status = tsp.PKIStatusInfo({"status": "rejection", "fail_info": {failure}})
    # asn1crypto takes the token for required; it is optional (RFC 3161 cl. 2.4.2).
    encoded: bytes = core.SequenceOf([status], spec=tsp.PKIStatusInfo).dump()
    return encoded
