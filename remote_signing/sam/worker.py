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

from remote_signing import strict_json
from remote_signing.clock import SystemClock
from remote_signing.errors import HsmFault, InvalidInput, RemoteSigningError
from remote_signing.sam.activation import Activation
from remote_signing.sam.attempts import AttemptJournal
from remote_signing.sam.certificate_status import CertificateStatus
from remote_signing.sam.cluster import load_cluster
from remote_signing.sam.config import load
from remote_signing.sam.enrolment import Enrolment
from remote_signing.sam.hsm import Node
from remote_signing.sam.log import configure_logging
from remote_signing.sam.revocation import RevocationList
from remote_signing.sam.service_keys import ServiceKeys
from remote_signing.sam.steady_clock import SteadyClock
from remote_signing.sam.timestamps import Timestamps
from remote_signing.sap import MAX_LINE, encode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import SamConfig

log = logging.getLogger(__name__)

EXIT_FAULT = 70  # sysexits.h EX_SOFTWARE: the node or its module cannot be relied on

Verbs = dict[str, "Callable[[Arguments], Answer]"]


def verbs(config: SamConfig, node: Node) -> Verbs:
    """What a worker with this node can do."""
    clock = SystemClock()
    cluster = load_cluster(config.cluster_file)
    cluster.check_node(node)
    journal = AttemptJournal(config.state_folder, config.attempt_limit)
    revoked = RevocationList(config.state_folder, node)
    activation = Activation(config, node, journal, revoked, clock)
    issuer = cluster.issuing_certificate
    enrolment = Enrolment(config, node, journal, revoked, issuer, clock)
    keys = ServiceKeys(config.service_keys_file, cluster, node)
    status = CertificateStatus(config, node, keys, revoked, issuer, clock)
    steady = SteadyClock(config.state_folder, clock)
    timestamps = Timestamps(config.authority, keys, cluster.chain[0], steady)

    def canary(_arguments: Arguments) -> Answer:
        node.canary()
        return {"node": node.name}

    return {
        **activation.verbs,
        **enrolment.verbs,
        **status.verbs,
        **timestamps.verbs,
        "canary": canary,
    }


def answer(handlers: Mapping[str, Callable[[Arguments], Answer]], line: bytes) -> bytes:
    """The frame that answers ``line``. ``HsmFault`` passes: it ends the process."""
    number: object = None
    try:
        request = strict_json.loads_object(line)
        number = request.get("id")
        handler = handlers.get(str(request.get("verb")))
        arguments = request.get("args")
        if handler is None or not isinstance(arguments, dict):
            raise InvalidInput("no such verb", parameter="verb")
        return encode_line({"id": number, "ok": handler(arguments)})
    except HsmFault:
        raise
    except RemoteSigningError as error:
        log.info("refused", extra={"error": type(error).__name__, "cause": error.cause})
        reply = {"name": type(error).__name__, "public": error.public}
        return encode_line({"id": number, "error": reply})


def serve(handlers: Mapping[str, Callable[[Arguments], Answer]], link: socket.socket) -> None:
    """Answer one line after another until the supervisor closes ``link``."""
    with link.makefile("rb", buffering=262_144) as lines:
        while line := lines.readline(MAX_LINE):
            link.sendall(answer(handlers, line))


def main(arguments: list[str]) -> int:
    """``worker CONFIG NODE DESCRIPTOR``: the descriptor is our end of the supervisor's socket."""
    config_file, node_name, descriptor = arguments
    # The supervisor decides when a worker ends; a terminal's Ctrl-C reaches both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logging()
    config = load(Path(config_file))
    node_config = config.node(node_name)
    os.environ.update(node_config.environment)
    with socket.socket(fileno=int(descriptor)) as link:
        try:
            node = Node.open(node_config, config.state_folder)
            handlers = verbs(config, node)
            node.canary()
            link.sendall(encode_line({"ready": node_name}))
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
