"""Key ceremonies: founding a cluster, joining a node to it, and reports on the nodes.

Library functions with plain arguments; the command line is ``remote-signing hsm``.

    founding      ``initialise``: keys, CA, recovery package, shares, signed transcript
    joining       ``join``: a further node from the package and M shares
    services      ``certify_services``: keys of OCSP and time stamps, also later, and again
    reports       ``status`` and ``bench``
    certificates, service_certificates   the profiles of the CA and of its services
    package       the recovery package and share files
    transcript    the signed record of a ceremony
    nodes, child, steps   the nodes' processes: what is asked, the parent's end, the child's end
"""

from remote_signing.sam.ceremony.certificates import AuthorityNames
from remote_signing.sam.ceremony.founding import Foundation, Outcome, initialise
from remote_signing.sam.ceremony.joining import Accession, join
from remote_signing.sam.ceremony.nodes import discard_strangers
from remote_signing.sam.ceremony.refusal import CeremonyRefused
from remote_signing.sam.ceremony.reports import NodeStatus, Rate, bench, status
from remote_signing.sam.ceremony.services import Services, certify_services
from remote_signing.sam.ceremony.transcript import verify_transcript

__all__ = [
    "Accession",
    "AuthorityNames",
    "CeremonyRefused",
    "Foundation",
    "NodeStatus",
    "Outcome",
    "Rate",
    "Services",
    "bench",
    "certify_services",
    "discard_strangers",
    "initialise",
    "join",
    "status",
    "verify_transcript",
]
