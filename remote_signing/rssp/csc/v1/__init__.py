"""CSC API v1 (1.0.4.0): another wire around what ``v2`` does."""
