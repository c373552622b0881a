"""``python -m remote_signing.demo``: exit status 0 when two programs accepted the signed PDF."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import NoReturn

from remote_signing.demo.state import fresh
from remote_signing.demo.telling import DemoFailed, Teller


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m remote_signing.demo", description=__doc__)
    parser.add_argument("--pdf", type=Path, help="sign this document (default: a bundled one)")
    parser.add_argument("--keep", action="store_true", help="leave the programs running")
    parser.add_argument("--state", type=Path, default=Path(".demo"), help="folder for everything")
    parser.add_argument("--database", help="SQLAlchemy URL (default: SQLite in the folder)")
    parser.add_argument(
        "--consent",
        choices=("pin", "sim"),
        default="pin",
        help="how the official consents: PIN and one-time code, or a virtual SIM",
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    teller = Teller()
    teller.line("One signature, from a portal's request to a verified PDF.")
    try:
        with fresh(options.state) as state:
            # These libraries take a moment: the first words should not wait for them.
            from remote_signing.demo.story import Story, Wanted  # noqa: PLC0415 - see above

            with_sim = options.consent == "sim"
            wanted = Wanted(options.pdf, options.keep, options.database, with_sim=with_sim)
            signed = Story(state, wanted, teller).run()
    except DemoFailed as error:
        teller.line(f"\nFAILED after {teller.seconds:.1f} s: {error}")
        return 1
    except KeyboardInterrupt:
        teller.line("\nended on request")
        return 0 if options.keep else 1
    teller.line(f"\nPASSED in {teller.seconds:.1f} s: pyHanko and openssl accept {signed}")
    return 0


def _interrupt(*_arguments: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
