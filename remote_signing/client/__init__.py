"""A client of the signing service: CSC API v2.2 and OAuth 2.0, blocking and asyncio.

    service = Service("https://ky.example.gov.vn")
    identity = PrivateKeyJwt("portal", read_key(Path("portal.pem")))
    with SigningClient(service, identity, proof_key=EcKey.generate()) as client:
        pushed = client.ask_consent(ConsentRequest(credential_id, (ToSign(digest, "a.pdf"),), back))
        ...  # the signer's browser goes to pushed.browser_url and comes back
        token = client.redeem(pushed, came_back)
        order = HashOrder(credential_id, (digest,), ECDSA_SHA256)
        (signature,) = client.sign_hash(token, order)

Needs httpx and nothing else; :mod:`.keys` needs cryptography, :mod:`.pdf` needs pyHanko. What is
sent again when something fails, and why that never signs twice, is told in :mod:`.exchange`.
"""

from remote_signing.client.caller import Service, Token
from remote_signing.client.credentials import Asked, Authorization, Credential, Sad
from remote_signing.client.documents import (
    Document,
    DocumentOrder,
    PreparedOrder,
    SignedDocuments,
)
from remote_signing.client.errors import (
    AnswerUnusable,
    ClientError,
    ClientRefused,
    Denied,
    GrantRefused,
    HashNotAuthorised,
    MethodMissing,
    NotReached,
    OutcomeUnknown,
    Reason,
    Refused,
    ServerFault,
    TokenRefused,
    Unavailable,
)
from remote_signing.client.exchange import Retry
from remote_signing.client.identity import ClientSecret, MutualTls, PrivateKeyJwt, SigningKey
from remote_signing.client.oauth import ConsentRequest, Pushed, ToSign
from remote_signing.client.oids import ECDSA_SHA256, SHA256, SHA384, SHA512, sign_algorithm
from remote_signing.client.shells import AsyncSigningClient, SigningClient
from remote_signing.client.signatures import HashOrder

__all__ = [
    "ECDSA_SHA256",
    "SHA256",
    "SHA384",
    "SHA512",
    "AnswerUnusable",
    "Asked",
    "AsyncSigningClient",
    "Authorization",
    "ClientError",
    "ClientRefused",
    "ClientSecret",
    "ConsentRequest",
    "Credential",
    "Denied",
    "Document",
    "DocumentOrder",
    "GrantRefused",
    "HashNotAuthorised",
    "HashOrder",
    "MethodMissing",
    "MutualTls",
    "NotReached",
    "OutcomeUnknown",
    "PreparedOrder",
    "PrivateKeyJwt",
    "Pushed",
    "Reason",
    "Refused",
    "Retry",
    "Sad",
    "ServerFault",
    "Service",
    "SignedDocuments",
    "SigningClient",
    "SigningKey",
    "ToSign",
    "Token",
    "TokenRefused",
    "Unavailable",
    "sign_algorithm",
]
