"""Consent by the key in the signer's SIM, on this side of the adapter (docs/sim-consent.md).

:mod:`.cards` knows which number answers, :mod:`.consent` asks and draws the conclusion,
:mod:`.tending` ends what nobody waits for, :mod:`.words` are the texts, :mod:`.status` and
:mod:`.evidence` what belongs to a signature.
"""
