"""A virtual SIM and the phone around it, joined by the octets that real ones exchange."""
