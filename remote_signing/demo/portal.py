"""The ministry's portal: asks over OAuth 2.0 (PAR, RAR, PKCE, DPoP), signs over the CSC API v2."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import queue
import secrets
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from types import TracebackType

    from remote_signing.demo.stage import Addresses

SHA256 = "2.16.840.1.101.3.4.2.1"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SECONDS_TO_COME_BACK = 10.0
_TOUR = "<!doctype html><title>Cổng</title><p>CODE <code>{}</code></p>"
_THANKS = "<!doctype html><title>Cổng</title><p>Đã nhận kết quả. Có thể đóng trang này.</p>"


@dataclass(frozen=True, slots=True)
class Consented:
    """A pushed request: the address for the official's browser, the code to compare."""

    browser_url: str
    verification_code: str
    state: str
    code_verifier: str


class Portal:
    """An OAuth client with two keys: one says who it is, one binds what it is given (DPoP)."""

    def __init__(self, addresses: Addresses) -> None:
        self.client_id = f"portal-{secrets.token_hex(4)}"
        self._addresses = addresses
        self._identity = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
        self._proof = ECKey.generate_key("P-256")
        self._http = httpx.Client(timeout=60)
        self._answers: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._server = _callback_server(addresses.portal_port, self._answers)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._http.close()

    @property
    def jwks(self) -> dict[str, Any]:
        """What is registered: the public half of the identity key."""
        return {"keys": [{**self._identity.as_dict(private=False), "kid": "1"}]}

    def service_token(self) -> str:
        """A token of scope ``service`` for the portal itself."""
        return self._token({"grant_type": "client_credentials", "scope": "service"})

    def credential_info(self, token: str, subscriber_id: str) -> dict[str, Any]:
        """The signer's credential, with its certificate chain: ``list``, then ``info``."""
        listed = self.call("credentials/list", token, {"userID": subscriber_id, "onlyValid": True})
        credential_id = listed["credentialIDs"][-1]
        asked = {"credentialID": credential_id, "certificates": "chain"}
        return {"credentialID": credential_id, **self.call("credentials/info", token, asked)}

    def ask(self, credential_id: str, dtbs_r: bytes, label: str, description: str) -> Consented:
        """Push the request (RFC 9126, RFC 9396): whose consent, to which hash, under what name."""
        state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
        challenge = _b64url(hashlib.sha256(verifier.encode("ascii")).digest())
        details = {
            "type": "credential",
            "credentialID": credential_id,
            "hashAlgorithmOID": SHA256,
            "documentDigests": [{"hash": _b64(dtbs_r), "label": label}],
        }
        pushed = self._form(
            "pushed_authorize",
            {
                "response_type": "code",
                "redirect_uri": self._addresses.redirect_uri,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                "authorization_details": json.dumps([details], ensure_ascii=False),
                "description": description,
                "lang": "vi",
            },
        )
        query = {"client_id": self.client_id, "request_uri": pushed["request_uri"]}
        url = f"{self._addresses.rssp}/oauth2/authorize?{urlencode(query)}"
        return Consented(url, pushed["verificationCode"], state, verifier)

    def credential_token(self, asked: Consented) -> str:
        """What the browser brought back, turned into a token for exactly this consent."""
        try:
            answer = self._answers.get(timeout=_SECONDS_TO_COME_BACK)
        except queue.Empty:
            raise DemoFailed("the official's browser did not come back to the portal") from None
        # RFC 9207 and RFC 6749 cl. 10.12: the answer is from this server, to this question.
        expected = {"state": asked.state, "iss": self._addresses.rssp}
        if "code" not in answer or any(answer.get(k) != v for k, v in expected.items()):
            raise DemoFailed(f"the portal got {answer}")
        return self._token(
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": self._addresses.redirect_uri,
                "code_verifier": asked.code_verifier,
            }
        )

    def sign_hash(self, token: str, credential_id: str, dtbs_r: bytes) -> bytes:
        """The signature (``signatures/signHash``)."""
        body = {
            "credentialID": credential_id,
            "hashes": [_b64(dtbs_r)],
            "hashAlgorithmOID": SHA256,
            "signAlgo": ECDSA_SHA256,
        }
        return base64.b64decode(self.call("signatures/signHash", token, body)["signatures"][0])

    def call(self, method: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        """A method of the CSC API v2 with a DPoP-bound token (RFC 9449)."""
        url = f"{self._addresses.rssp}/csc/v2/{method}"
        headers = {"Authorization": f"DPoP {token}", "DPoP": self._dpop("POST", url, token)}
        return _json(self._http.post(url, json=body, headers=headers))

    def _token(self, parameters: dict[str, str]) -> str:
        return str(self._form("token", parameters)["access_token"])

    def _form(self, endpoint: str, parameters: dict[str, str]) -> dict[str, Any]:
        """One form to the authorization server, as this client (RFC 7523) with this key."""
        url = f"{self._addresses.rssp}/oauth2/{endpoint}"
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self._addresses.rssp,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
        }
        assertion = jwt.encode({"alg": "ES256", "kid": "1"}, claims, self._identity)
        form = {
            **parameters,
            "client_id": self.client_id,
            "client_assertion_type": _ASSERTION,
            "client_assertion": assertion,
        }
        return _json(self._http.post(url, data=form, headers={"DPoP": self._dpop("POST", url)}))

    def _dpop(self, method: str, url: str, token: str | None = None) -> str:
        """A proof that this request is from the holder of the key (RFC 9449 cl. 4.2)."""
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._proof.as_dict(private=False)}
        claims: dict[str, Any] = {
            "htm": method,
            "htu": url,
            "iat": int(time.time()),
            "jti": secrets.token_urlsafe(16),
        }
        if token is not None:
            claims["ath"] = _b64url(hashlib.sha256(token.encode("ascii")).digest())
        return jwt.encode(header, claims, self._proof)


def _callback_server(port: int, answers: queue.SimpleQueue[dict[str, str]]) -> ThreadingHTTPServer:
    class Callback(BaseHTTPRequestHandler):
        """The portal's ``redirect_uri``."""

        def do_GET(self) -> None:
            """Keep the parameters, thank the browser; on the tour show them instead."""
            parts = urlsplit(self.path)
            brought = {name: values[0] for name, values in parse_qs(parts.query).items()}
            pages = {"/callback": _THANKS, "/tour": _TOUR.format(html.escape(_told(brought)))}
            if parts.path == "/callback":
                answers.put(brought)
            body = pages.get(parts.path, "").encode("utf-8")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """The query holds the code: it goes to no log."""

    return ThreadingHTTPServer(("127.0.0.1", port), Callback)


def _told(brought: dict[str, str]) -> str:
    return brought.get("code") or brought.get("error", "")


def _json(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise DemoFailed(f"{answer.request.url.path}: {answer.status_code} {answer.text}")
    members: dict[str, Any] = answer.json()
    return members


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
