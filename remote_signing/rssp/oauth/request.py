"""A request as authlib's core wants it, made from Starlette's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from remote_signing.rssp import client_certificate
from remote_signing.rssp.oauth import form

if TYPE_CHECKING:
    from starlette.requests import Request

    from remote_signing.errors import ReplayDetected
    from remote_signing.rssp.client_certificate import ClientCertificate
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.dpop import DpopProofInvalid, Proof

V1_PREFIX: Final = "/csc/v1"


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers that count, every value of each."""

    authorization: tuple[str, ...]
    dpop: tuple[str, ...]
    accepts_page: bool = False


class HttpRequest(OAuth2Request):
    """A request with its parameters read.

    ``uri`` is the address as the world writes it, made from the configured issuer and never from
    the Host header. That also settles authlib's ``InsecureTransportError``, which is raised for an
    http address: behind the proxy that ends TLS the issuer is https, and the configuration allows
    http for loopback alone, as authlib does. ``AUTHLIB_INSECURE_TRANSPORT`` is never set.
    """

    def __init__(
        self,
        method: str,
        uri: str,
        parameters: dict[str, str],
        headers: Headers,
        certificate: ClientCertificate | None = None,
    ) -> None:
        super().__init__(method, uri)
        self.parameters = parameters
        self.payload = BasicOAuth2Payload(parameters)
        self.seen = headers
        self.certificate = certificate
        # The proof that is used up, or what is wrong with it; None: nobody has looked yet.
        self.proof: Proof | DpopProofInvalid | ReplayDetected | None = None
        # Who has proved to be whom, and which activation's code or request_uri was shown: for the
        # record when it is refused.
        self.authenticated: str | None = None
        self.activation_id: str | None = None

    @property
    def form(self) -> dict[str, str]:
        """The parameters; authlib's name for them."""
        return self.parameters

    @property
    def is_v1(self) -> bool:
        """Whether it came to the addresses that ``info`` of CSC API v1 names."""
        return urlsplit(self.uri).path.startswith(V1_PREFIX)

    def get(self, name: str) -> str | None:
        """A parameter, or None."""
        return self.parameters.get(name)


async def read(services: Services, request: Request) -> HttpRequest:
    """Read ``request``: the body of a POST, the URL of a GET. ``InvalidInput`` when it is odd."""
    is_post = request.method == "POST"
    parameters = await form.read_form(request) if is_post else form.read_query(request)
    headers = Headers(
        authorization=tuple(request.headers.getlist("authorization")),
        dpop=tuple(request.headers.getlist("dpop")),
        accepts_page="text/html" in request.headers.get("accept", ""),
    )
    return HttpRequest(
        request.method,
        f"{services.config.urls.issuer}{request.scope['path']}",
        parameters,
        headers,
        client_certificate.reported(services.config.proxy, request),
    )
