"""Measurements. Each is a program of its own; none is a test, none has a threshold in seconds."""
