"""What the README's tour by hand needs: a portal that curl can be, and where everything is."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remote_signing.demo.stage import Signer, Stage

CLIENT = "tour"


def prepare(stage: Stage, agency: str, signer: Signer) -> str:
    """Register the portal ``tour``; the line that brings everything into a shell."""
    state, addresses = stage.state, stage.addresses
    secret_file = state.secrets / "tour.json"
    stage.command(
        *("client", "add", CLIENT, "--name", "Cổng thử bằng tay", "--agency", agency),
        *("--auth-method", "client_secret_basic", "--redirect-uri", addresses.tour_uri),
        *("--secret-file", str(secret_file), "--json"),
    )
    secret = json.loads(secret_file.read_text(encoding="utf-8"))["client_secret"]
    # A file that curl reads: a secret on a command line is seen by everybody on the machine.
    login = state.secret("tour.curl", f'user = "{CLIENT}:{secret}"\n')
    signed = state.signed / "signer.pem"
    signed.write_text(signer.certificate_pem, encoding="ascii")
    variables = {
        "RSSP": addresses.rssp,
        "CLIENT": CLIENT,
        "LOGIN": str(login),
        "REDIRECT": addresses.tour_uri,
        "CREDENTIAL": signer.credential_id,
        "CERTIFICATE": str(signed),
    }
    file = state.folder / "tour.env"
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    file.write_text(text, encoding="utf-8")
    return f". {shlex.quote(str(file))}"
