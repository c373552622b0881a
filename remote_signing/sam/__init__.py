"""The signature activation module: the only part of the service that can use a key."""
