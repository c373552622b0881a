"""Hardware security modules: the only part of the project that imports ``pkcs11``.

A process has one session with one node and uses it from one thread.

    faults        any PKCS#11 error becomes ``HsmFault``
    session       one logged-in session on one token: start-up lock, one PIN attempt, finding keys
    templates     labels, attributes and mechanisms of every key
    public_keys   public keys out of tokens and into them
    signing       signature schemes as mechanisms; an activated key that verifies what it signs
    private_keys  keys in tokens that ``cryptography``'s X.509 builders can sign with
    check_values  values by which nodes prove that they hold the same keys
    counter       a number in the token that only rises
    node          a node of the cluster, as the verbs use it
    custody       making, moving and importing the cluster's keys (ceremonies only)
    recovery      custodians' shares of the recovery key (ceremonies only)
"""

from remote_signing.sam.hsm.node import GeneratedKey, Node
from remote_signing.sam.hsm.signing import ActiveKey

__all__ = ["ActiveKey", "GeneratedKey", "Node"]
