"""The ministry's portal: what is left to do beside :mod:`remote_signing.client`.

Its keys, and the address that the official's browser comes back to.
"""

from __future__ import annotations

import html
import queue
import secrets
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx

from remote_signing.client import (
    ClientError,
    ConsentRequest,
    PrivateKeyJwt,
    Service,
    SigningClient,
    ToSign,
)
from remote_signing.client.keys import EcKey, key_set
from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from remote_signing.client import Credential, HashOrder, Pushed, Token
    from remote_signing.demo.stage import Addresses

_SECONDS_TO_ANSWER = httpx.Timeout(60)
_SECONDS_TO_COME_BACK = 10.0
_TOUR = "<!doctype html><title>Cổng</title><p>CODE <code>{}</code></p>"
_THANKS = "<!doctype html><title>Cổng</title><p>Đã nhận kết quả. Có thể đóng trang này.</p>"


class Portal:
    """An OAuth client with two keys: one says who it is, one binds what it is given (DPoP)."""

    def __init__(self, addresses: Addresses) -> None:
        self.client_id = f"portal-{secrets.token_hex(4)}"
        self._redirect_uri = addresses.redirect_uri
        self._key = EcKey.generate()
        self._client = SigningClient(
            Service(addresses.rssp),
            PrivateKeyJwt(self.client_id, self._key),
            proof_key=EcKey.generate(),
            timeout=_SECONDS_TO_ANSWER,
        )
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
        self._client.close()

    @property
    def jwks(self) -> dict[str, Any]:
        """What is registered: the public half of the identity key."""
        return key_set(self._key)

    def credential(self, subscriber_id: str) -> Credential:
        """The signer's newest credential, with its certificate chain."""
        with _in_words():
            token = self._client.service_token()
            *_, newest = self._client.list_credentials(token, subscriber_id)
            return self._client.credential_info(token, newest)

    def ask(self, credential_id: str, dtbs_r: bytes, label: str, description: str) -> Pushed:
        """Push the request: whose consent, to which hash, under what name."""
        documents = (ToSign(dtbs_r, label),)
        with _in_words():
            return self._client.ask_consent(
                ConsentRequest(credential_id, documents, self._redirect_uri, description)
            )

    def credential_token(self, asked: Pushed) -> Token:
        """What the browser brought back, turned into a token for exactly this consent."""
        try:
            answer = self._answers.get(timeout=_SECONDS_TO_COME_BACK)
        except queue.Empty:
            raise DemoFailed("the official's browser did not come back to the portal") from None
        with _in_words():
            return self._client.redeem(asked, answer)

    def sign_hash(self, token: Token, order: HashOrder) -> bytes:
        """The signature (``signatures/signHash``)."""
        with _in_words():
            (signature,) = self._client.sign_hash(token, order)
        return signature


@contextmanager
def _in_words() -> Iterator[None]:
    """What the client tells, as the demo's end."""
    try:
        yield
    except ClientError as error:
        raise DemoFailed(f"the portal: {error}") from error


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
