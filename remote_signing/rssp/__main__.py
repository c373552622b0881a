"""``python -m remote_signing.rssp --config rssp.toml``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from remote_signing.rssp.app import serve
from remote_signing.rssp.config_tables import ConfigInvalid


def main() -> int:
    """Serve until SIGTERM; 2 when the configuration cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m remote_signing.rssp")
    parser.add_argument("--config", type=Path, required=True, help="the TOML file")
    try:
        serve(parser.parse_args().config)
    except ConfigInvalid as error:
        sys.stderr.write(f"configuration: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
