"""A worker: one process, one HSM node, one session, one thread, one request at a time.

python-pkcs11 initialises modules as single-threaded and releases the GIL in every call, so two
threads crash a process (measured). A worker is crash-only: any PKCS#11 result outside a short
allow-list ends the process, and the supervisor starts another. The module is opened here, after
exec, never before a fork.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from remote_signing import heap, strict_json
from remote_signing.clock import SystemClock
from remote_signing.errors import HsmFault, InvalidInput, RemoteSigningError
from remote_signing.sam.activation import Activation
from remote_signing.sam.attempts import AttemptJournal
from remote_signing.sam.certificate_status import CertificateStatus
from remote_signing.sam.cluster import load_cluster
from remote_signing.sam.config import load
from remote_signing.sam.counters import PasskeyCounters
from remote_signing.sam.enrolment import Enrolment
from remote_signing.sam.factors import EvidenceCheck
from remote_signing.sam.hsm import Node
from remote_signing.sam.log import configure_logging
from remote_signing.sam.passkey_enrolment import PasskeyEnrolment
from remote_signing.sam.passkeys import Passkeys
from remote_signing.sam.pin_choice import PinChoice
from remote_signing.sam.revocation import RevocationList
from remote_signing.sam.service_keys import ServiceKeys
from remote_signing.sam.sim_consent import SimConsent
from remote_signing.sam.steady_clock import SteadyClock
from remote_signing.sam.timestamps import Timestamps
from remote_signing.sap import MAX_LINE, encode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import SamConfig

log = logging.getLogger(__name__)

EXIT_FAULT = 70  # sysexits.h EX_SOFTWARE: the node or its module cannot be relied on

_CANARY = encode_line({"id": 0, "verb": "canary", "args": {}})

Verbs = dict[str, "Callable[[Arguments], Answer]"]


def verbs(config: SamConfig, node: Node) -> Verbs:
    """What a worker with this node can do."""
    clock = SystemClock()
    cluster = load_cluster(config.cluster_file)
    cluster.check_node(node)
    journal = AttemptJournal(config.state_folder, config.attempt_limit)
    revoked = RevocationList(config.state_folder, node)
    issuer = cluster.issuing_certificate
    passkeys = Passkeys(config.passkey, PasskeyCounters(config.state_folder))
    sim = SimConsent.from_config(config.sim, issuer)
    evidence = EvidenceCheck(node, journal, revoked, sim, passkeys)
    activation = Activation(config, evidence, clock)
    enrolment = Enrolment(config, evidence, issuer, clock)
    passkey_enrolment = PasskeyEnrolment(evidence, clock)
    keys = ServiceKeys(config.service_keys_file, cluster, node)
    status = CertificateStatus(config, node, keys, revoked, issuer, clock)
    steady = SteadyClock(config.state_folder, clock)
    timestamps = Timestamps(config.authority, keys, cluster.chain[0], steady)

    def canary(_arguments: Arguments) -> Answer:
        """Refused while the revocation list is not to be believed: then no key is used."""
        node.canary()
        revoked.refresh()
        return {"node": node.name}

    return {
        **activation.verbs,
        **enrolment.verbs,
        **passkey_enrolment.verbs,
        **PinChoice(config, evidence, clock).verbs,
        **status.verbs,
        **timestamps.verbs,
        "canary": canary,
    }


def answer(handlers: Mapping[str, Callable[[Arguments], Answer]], line: bytes) -> bytes:
    """The frame that answers ``line``. ``HsmFault`` passes: it ends the process."""
    number: object = None
    request: Arguments = {}
    try:
        request = strict_json.loads_object(line)
        number = request.get("id")
        return encode_line({"id": number, "ok": _handled(handlers, request)})
    except HsmFault:
        raise
    except RemoteSigningError as error:
        told = {"error": type(error).__name__, "cause": error.cause}
        log.info("refused", extra=_about(request) | told)
        reply = {"name": type(error).__name__, "public": error.public}
        return encode_line({"id": number, "error": reply})
    except Exception:  # a fault of ours in one verb: told to nobody, and no node is to blame
        log.exception("fault", extra=_about(request))
        return encode_line({"id": number, "error": {"name": "SamUnavailable", "public": {}}})


def _handled(handlers: Mapping[str, Callable[[Arguments], Answer]], request: Arguments) -> Answer:
    handler, arguments = handlers.get(str(request.get("verb"))), request.get("args")
    if handler is None or not isinstance(arguments, dict):
        raise InvalidInput("no such verb", parameter="verb")
    return handler(arguments)


def _about(request: Arguments) -> dict[str, str]:
    """What a log line may say of a request: its verb, and whose it is where that is not sealed."""
    arguments = request.get("args")
    named = arguments if isinstance(arguments, dict) else {}
    about = {"verb": request.get("verb")}
    about |= {name: named.get(name) for name in ("credential_id", "activation_id", "client_id")}
    return {name: str(value)[:64] for name, value in about.items() if value is not None}


def serve(handlers: Mapping[str, Callable[[Arguments], Answer]], link: socket.socket) -> None:
    """Answer one line after another until the supervisor closes ``link``.

    Errors: ``HsmFault`` at what is no line of at most ``MAX_LINE`` octets and its end; to answer
    its parts would give each later caller the answer to the request before his.
    """
    with link.makefile("rb", buffering=262_144) as lines:
        while line := lines.readline(MAX_LINE + 1):
            if not line.endswith(b"\n"):
                raise HsmFault("half a line from the supervisor")
            link.sendall(answer(handlers, line))


def main(arguments: list[str]) -> int:
    """``worker CONFIG NODE DESCRIPTOR``: the descriptor is our end of the supervisor's socket."""
    heap.keep_private()
    config_file, node_name, descriptor = arguments
    # The supervisor decides when a worker ends, by closing the socket. A terminal's Ctrl-C and
    # systemd's SIGTERM (KillMode=control-group) reach both.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    configure_logging()
    config = load(Path(config_file))
    node_config = config.node(node_name)
    os.environ.update(node_config.environment)
    with socket.socket(fileno=int(descriptor)) as link:
        try:
            node = Node.open(node_config, config.state_folder)
            handlers = verbs(config, node)
            link.sendall(answer(handlers, _CANARY))
            heap.settle()
            serve(handlers, link)
        except RemoteSigningError as error:
            fault = {"node": node_name, "error": type(error).__name__, "cause": error.cause}
            log.warning("worker ends", extra=fault)
            return EXIT_FAULT
        except ConnectionError:
            log.info("the supervisor is gone")
    return 0


if __name__ == "__main__":
    # No clean-up of the module: a hung or broken one must not keep the process alive.
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)
