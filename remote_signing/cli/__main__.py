"""``python -m remote_signing.cli`` is ``remote-signing``."""

import sys

from remote_signing.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
