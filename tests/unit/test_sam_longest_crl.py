"""The longest CRL: as many entries as are taken fit into a message, whatever they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from cryptography import x509

from remote_signing.errors import InvalidInput
from remote_signing.sam.certificate_status import CertificateStatus
from remote_signing.sap import MAX_LINE, encode_line
from tests.support.verbs import Sam, unb64

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sam.hsm import Node
    from remote_signing.sam.service_keys import ServiceKeys
    from remote_signing.strict_json import JsonValue

MOST = 50_000


def test_most_entries_fit_into_one_message_and_one_more_is_refused(tmp_path: Path) -> None:
    sam = Sam(tmp_path)
    keys = cast("ServiceKeys", None)  # of OCSP and time stamps: not asked here
    status = CertificateStatus(
        sam.config, cast("Node", sam.node), keys, sam.revoked, sam.issuer, sam.clock
    )
    now_ms = sam.clock.now_ms()
    longest: list[JsonValue] = [
        [f"{2**158 + number:x}", now_ms, "cessationOfOperation"] for number in range(MOST + 1)
    ]
    request = {"id": 2**31, "verb": "sign_crl", "args": {"revoked": longest[:MOST]}}
    assert len(encode_line(request)) < MAX_LINE
    made = status.verbs["sign_crl"]({"revoked": longest[:MOST]})
    assert len(encode_line({"id": 2**31, "ok": made})) < MAX_LINE
    assert len(x509.load_der_x509_crl(unb64(made["crl"]))) == MOST
    with pytest.raises(InvalidInput):
        status.verbs["sign_crl"]({"revoked": longest})
