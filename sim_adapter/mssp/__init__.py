"""A test MSSP: the operator's side of TS 102 204, in front of the OTA gateway and its SIMs.

It is for tests, demonstrations and load, and for those who integrate an operator and want to see
both sides. What it signs is signed by a SIM, over secured packets and SMPP; it has no key.
"""
