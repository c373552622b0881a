"""The remote signing service provider's server (RSSP): CSC API, OAuth 2.0, consent, records.

It carries messages and keeps records. It can read no PIN verifier, no factor secret and no key:
those are sealed by the SAM (:mod:`remote_signing.sap`).
"""
