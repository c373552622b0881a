"""``remote-signing …``: what an operator types. ``remote-signing --help`` lists it.

Secrets come from files or a prompt, never from an argument or the environment. Exit status: 0 done,
1 refused or failed, 2 wrong usage or configuration, 3 something cannot be reached: try again.
"""

from remote_signing.cli.app import main

__all__ = ["main"]
