"""Key ceremonies: founding a cluster, joining a node to it, and reports on the nodes.

Library functions with plain arguments; the command line is ``remote-signing hsm``.

    founding      ``initialise``: keys, CA, recovery package, shares, signed transcript
    joining       ``join``: a further node from the package and M shares
    reports       ``status`` and ``bench``
    certificates  the CA's profiles
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
from remote_signing.sam.ceremony.transcript import verify_transcript

__all__ = [
    "Accession",
    "AuthorityNames",
    "CeremonyRefused",
    "Foundation",
    "NodeStatus",
    "Outcome",
    "Rate",
    "bench",
    "discard_strangers",
    "initialise",
    "join",
    "status",
    "verify_transcript",
]
