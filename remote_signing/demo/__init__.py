"""One signature from request to verified PDF, on this machine alone: ``remote-signing``'s demo.

Everything goes through public interfaces: the command line, HTTP, and pages that a browser would
show. Nothing here reaches into a database or a key.

    state      the folder in which a run keeps its tokens, secrets and documents
    stage      nodes, ceremony, programs, and who takes part
    portal     the ministry's portal: OAuth client and CSC client
    official   the signer's browser
    document   PAdES by pyHanko: what is to be signed, and the signature put in
    verdict    verification by pyHanko and by openssl
    outage     the loss of an HSM node
    story      the order of it all
"""
