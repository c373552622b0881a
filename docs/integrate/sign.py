"""One signature from end to end with remote-signing-client[keys].

    RSSP=https://… CLIENT=… KEY=portal.pem REDIRECT=https://… CREDENTIAL=… python sign.py FILE

Standard input: the address that the signer's browser came back to. Leaves FILE.sig (DER) and
FILE.der (the signer's certificate).
"""

import hashlib
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_der_x509_certificate

from remote_signing.client import (
    ECDSA_SHA256,
    ConsentRequest,
    HashOrder,
    PrivateKeyJwt,
    Service,
    SigningClient,
    ToSign,
)
from remote_signing.client.keys import EcKey, read_key


def main() -> None:
    """Ask, wait for the signer, sign, check."""
    file, credential_id = Path(sys.argv[1]), os.environ["CREDENTIAL"]
    content = file.read_bytes()
    digest = hashlib.sha256(content).digest()
    identity = PrivateKeyJwt(os.environ["CLIENT"], read_key(Path(os.environ["KEY"])))
    service = Service(os.environ["RSSP"])
    # The second key binds what this program is given to this program (DPoP).
    with SigningClient(service, identity, proof_key=EcKey.generate()) as client:
        # 1 · The certificate, with a token of the client's own.
        credential = client.credential_info(client.service_token(), credential_id)

        # 2 · The question: whose consent, to which hash, under what name.
        pushed = client.ask_consent(
            ConsentRequest(credential_id, (ToSign(digest, file.name),), os.environ["REDIRECT"])
        )
        print("code to compare:", pushed.verification_code)
        print("for the signer:", pushed.browser_url, flush=True)

        # 3 · The signer has agreed: the code becomes a token, once. state and iss are compared.
        token = client.redeem(pushed, sys.stdin.readline().strip())

        # 4 · The signature, and whether it is one. A lost answer is fetched again.
        (signature,) = client.sign_hash(token, HashOrder(credential_id, (digest,), ECDSA_SHA256))
    certificate = load_der_x509_certificate(credential.certificates[0])
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - the credential's key is P-256
    key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
    file.with_name(file.name + ".sig").write_bytes(signature)
    file.with_name(file.name + ".der").write_bytes(credential.certificates[0])
    print("Verified OK")


if __name__ == "__main__":
    main()
