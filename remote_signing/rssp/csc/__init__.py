"""The CSC API (Cloud Signature Consortium): what portals and signature programs speak."""
