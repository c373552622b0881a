"""The client's certificate, as a trusted proxy reports it and as nobody else may."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from starlette.requests import Request

from remote_signing.errors import InvalidInput
from remote_signing.rssp import client_certificate
from remote_signing.rssp.config import ProxyConfig
from tests.support.client_certificates import certificate, escaped

PROXY = ProxyConfig(trusted=("10.0.0.0/24",))


def request(peer: str | None, *values: str) -> Request:
    headers = [(b"x-client-certificate", value.encode()) for value in values]
    client = None if peer is None else (peer, 1)
    return Request({"type": "http", "headers": headers, "client": client, "method": "POST"})


def test_a_trusted_proxy_is_believed() -> None:
    ours = certificate()
    found = client_certificate.reported(PROXY, request("10.0.0.7", escaped(ours)))
    digest = hashlib.sha256(ours.public_bytes(serialization.Encoding.DER)).digest()
    thumbprint = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert found is not None
    assert found.thumbprint == thumbprint
    assert found.is_of(thumbprint, None)
    assert found.is_of(None, "CN=Cổng")
    assert not found.is_of(None, "CN=Khác")
    assert not found.is_of(None, None)
    assert not found.is_of("other", "CN=Cổng"), "a registered thumbprint decides alone"


@pytest.mark.parametrize("peer", ["10.0.1.7", "127.0.0.1", "not an address", None])
def test_nobody_else_is_believed(peer: str | None) -> None:
    assert client_certificate.reported(PROXY, request(peer, escaped(certificate()))) is None


def test_no_certificate_is_no_certificate() -> None:
    assert client_certificate.reported(PROXY, request("10.0.0.7")) is None
    assert client_certificate.reported(PROXY, request("10.0.0.7", "")) is None


def test_a_header_sent_by_the_client_beside_the_proxys_is_refused() -> None:
    both = (escaped(certificate()), escaped(certificate("Khác")))
    with pytest.raises(InvalidInput, match="more than one"):
        client_certificate.reported(PROXY, request("10.0.0.7", *both))


@pytest.mark.parametrize(
    "header", ["x", quote("-----BEGIN CERTIFICATE-----\nAA"), "%e1%bb", "x" * 20_000]
)
def test_what_cannot_be_read_is_refused(header: str) -> None:
    with pytest.raises(InvalidInput):
        client_certificate.read(header)
