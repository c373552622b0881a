"""CSC API v2 (2.2.0.0, with the wire of 2.0 where 2.2 has not changed it)."""
