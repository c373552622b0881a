"""A real OpenID provider on loopback: the server of IdentityPython's ``idpyoidc``.

It signs whoever comes in as :attr:`RealProvider.person`, and says so in ID tokens under ES256. Its
endpoints judge our requests, our key, our PKCE verifier and our pushed requests by its own reading
of the standards.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from idpyoidc.server import Server
from idpyoidc.server.configure import OPConfiguration
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.support.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENT, CITIZEN = "ky-so-tu-xa", "001099012345"
HIGH = "urn:example:acr:high"
_ENDPOINTS = {
    "authorization": "idpyoidc.server.oidc.authorization.Authorization",
    "token": "idpyoidc.server.oidc.token.Token",
    "pushed_authorization": "idpyoidc.server.oauth2.pushed_authorization.PushedAuthorization",
}


def _configuration(issuer: str, folder: Path) -> dict[str, Any]:
    kinds: dict[str, Any] = {
        "authorization": {
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "client_authn_method": ["pushed_authz", "none"],
        },
        "token": {"client_authn_method": ["private_key_jwt"]},
        "pushed_authorization": {"client_authn_method": ["private_key_jwt"]},
    }
    return {
        "issuer": issuer,
        "httpc_params": {"verify": True},
        "keys": {
            "key_defs": [{"type": "EC", "crv": "P-256", "use": ["sig"]}],
            "private_path": str(folder / "provider.jwks"),
            "read_only": False,
            "uri_path": "jwks",
        },
        "endpoint": {
            name: {"path": name, "class": kind, "kwargs": kinds[name]}
            for name, kind in _ENDPOINTS.items()
        },
        "token_handler_args": {
            "jwks_def": {
                "private_path": str(folder / "tokens.jwks"),
                "read_only": False,
                "key_defs": [{"type": "oct", "bytes": "24", "use": ["enc"], "kid": "code"}],
            },
            "code": {
                "lifetime": 120,
                "kwargs": {
                    "crypt_conf": {
                        "kwargs": {
                            "keys": {
                                "key_defs": [
                                    {"type": "OCT", "use": ["enc"], "kid": "password"},
                                    {"type": "OCT", "use": ["enc"], "kid": "salt"},
                                ]
                            }
                        }
                    }
                },
            },
            "token": {
                "class": "idpyoidc.server.token.jwt_token.JWTToken",
                "kwargs": {"lifetime": 600},
            },
            "id_token": {
                "class": "idpyoidc.server.token.id_token.IDToken",
                "kwargs": {"lifetime": 300, "base_claims": {"acr": None, "citizen_number": None}},
            },
        },
        "preference": {"id_token_signing_alg_values_supported": ["ES256"]},
        "authentication": {
            HIGH: {
                "acr": HIGH,
                "class": "idpyoidc.server.user_authn.user.NoAuthn",
                "kwargs": {"user": "citizen"},
            }
        },
        "userinfo": {
            "class": "idpyoidc.server.user_info.UserInfo",
            "kwargs": {"db": {"citizen": {"citizen_number": CITIZEN}}},
        },
        "add_ons": {
            "pkce": {
                "function": "idpyoidc.server.oauth2.add_on.pkce.add_support",
                "kwargs": {"essential": True, "code_challenge_method": "S256"},
            }
        },
        "template_dir": str(folder),
        "session_params": {
            "encrypter": {
                "kwargs": {
                    "keys": {
                        "key_defs": [
                            {"type": "OCT", "use": ["enc"], "kid": "password"},
                            {"type": "OCT", "use": ["enc"], "kid": "salt"},
                        ]
                    }
                }
            }
        },
    }


@dataclass
class RealProvider:
    """Where it is, and what it was asked (path and parameters)."""

    issuer: str
    folder: Path
    client_jwks: dict[str, Any]
    callback: str
    is_away: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = OPConfiguration(
            conf=_configuration(self.issuer, self.folder), base_path=str(self.folder)
        )
        self.server = Server(settings, cwd=str(self.folder))
        self.register(self.callback)

    def register(self, callback: str) -> None:
        context: Any = self.server.context
        context.cdb[CLIENT] = {
            "client_id": CLIENT,
            "redirect_uris": [(callback, None)],
            "response_types_supported": ["code"],
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256",
            "id_token_signed_response_alg": "ES256",
            "allowed_scopes": ["openid"],
        }
        context.keyjar.import_jwks(self.client_jwks, CLIENT)

    def app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/.well-known/openid-configuration", self._metadata)
        app.add_api_route("/jwks", self._keys)
        app.add_api_route("/authorization", self._authorize)
        for path in ("token", "pushed_authorization"):
            app.add_api_route(f"/{path}", self._post, methods=["POST"])
        return app

    async def _metadata(self) -> Response:
        if self.is_away:
            return Response(status_code=502)
        return JSONResponse(self.server.context.provider_info | {"jwks_uri": f"{self.issuer}/jwks"})

    async def _keys(self) -> Response:
        return JSONResponse(self.server.context.keyjar.export_jwks(""))

    async def _authorize(self, request: Request) -> Response:
        given = dict(request.query_params)
        self.asked.append(("authorization", given))
        endpoint: Any = self.server.get_endpoint("authorization")
        parsed = endpoint.parse_request(given)
        answer = endpoint.process_request(parsed)
        if "error" in answer:
            return JSONResponse(dict(answer), 400)
        made = endpoint.do_response(**answer)
        return RedirectResponse(made["response"], 303)

    async def _post(self, request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append((name, form))
        endpoint: Any = self.server.get_endpoint(name)
        headers = {key.lower(): value for key, value in request.headers.items()}
        parsed = endpoint.parse_request(form, http_info={"headers": headers})
        if "error" in parsed:
            return JSONResponse(parsed.to_dict(), 400)
        answer = endpoint.process_request(parsed, http_info={"headers": headers})
        if "http_response" in answer:
            return JSONResponse(answer["http_response"], 201)  # RFC 9126 cl. 2.2
        if "error" in answer:
            return JSONResponse(answer.to_dict(), 400)
        return JSONResponse(answer["response_args"])


@contextmanager
def real_provider(folder: Path, jwks: dict[str, Any], callback: str) -> Iterator[RealProvider]:
    """The provider, behind a socket on loopback."""
    made: list[RealProvider] = []

    def make(address: str) -> FastAPI:
        made.append(RealProvider(address, folder, jwks, callback))
        return made[0].app()

    with served(make):
        yield made[0]
