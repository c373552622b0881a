"""The SIM PKI side: an ETSI TS 102 204 application provider and a test MSSP."""
