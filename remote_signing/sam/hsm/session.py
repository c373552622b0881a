"""One logged-in session on one token. One per process, used by one thread.

python-pkcs11 initialises modules as single-threaded and releases the GIL in every call; a second
thread crashes the process. SoftHSM writes the token at each log-in, so several processes that
start at once disturb each other: initialise and log in under a file lock. Real HSMs lock after a
few wrong PINs: a refused PIN is tried once, until an operator removes the breaker file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

import pkcs11
from pkcs11 import Attribute, Mechanism, ObjectClass, TokenFlag
from pkcs11.exceptions import PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked

from remote_signing.errors import HsmFault, InvalidInput
from remote_signing.sam.config import secret_file
from remote_signing.sam.hsm.faults import faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - a class with a lower-case name

    from remote_signing.sam.config import NodeConfig

_PIN_REFUSED = (PinIncorrect, PinInvalid, PinLenRange, PinLocked, PinExpired)
_LAST_CHANCE = TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_LOCKED

_open_here: list[str] = []  # the name of the node that this process has a session with


class TokenSession:
    """A read-write user session. ``close`` it, or let the process end."""

    def __init__(self, name: str, library: Library, token: pkcs11.Token, pin: str) -> None:
        self.name = name
        self.token = token
        self._library = library
        self.raw = token.open(rw=True, user_pin=pin)

    @classmethod
    def open(cls, config: NodeConfig, lock_folder: Path) -> Self:
        """Load the module, find the token by its label, log in. Raises ``HsmFault``.

        ``lock_folder`` holds ``NAME.lock`` and, after the token has refused the PIN,
        ``NAME.pin-refused``; while that is there, no further attempt is made.
        """
        if _open_here:
            raise HsmFault(f"this process has a session with node {_open_here[0]}")
        # A module reads its settings when it is initialised, from the process's environment.
        os.environ.update(config.environment)
        with _start_up_lock(lock_folder / f"{config.name}.lock"):
            session = cls._log_in(config, lock_folder / f"{config.name}.pin-refused")
        _open_here.append(config.name)
        return session

    @classmethod
    def _log_in(cls, config: NodeConfig, breaker: Path) -> Self:
        if breaker.exists():
            raise HsmFault(f"the token refused the PIN before; see {breaker}")
        pin = _read_pin(config.pin_file)
        with faults(f"opening node {config.name}"):
            library = pkcs11.lib(str(config.module))
            try:
                token = _token(library, config.token_label)
                return cls(config.name, library, token, pin)
            except (pkcs11.PKCS11Error, HsmFault) as error:
                if isinstance(error, _PIN_REFUSED):
                    _trip(breaker, type(error).__name__)
                _finalise(library)
                raise

    def one(self, label: str, object_class: ObjectClass) -> pkcs11.Object:
        """The only object with this label and class; ``HsmFault`` when there is none, or two."""
        found = self.all({Attribute.LABEL: label, Attribute.CLASS: object_class})
        if len(found) != 1:
            kind = object_class.name.lower().replace("_", " ")
            raise HsmFault(f"the token has {len(found)} of the {kind} {label}")
        return found[0]

    def all(self, attributes: Mapping[Attribute, Any]) -> list[pkcs11.Object]:
        """Every object with these attributes. Read to the end: a search holds the session."""
        with faults("finding objects"):
            return list(self.raw.get_objects(dict(attributes)))

    def mechanisms(self) -> frozenset[str]:
        """PKCS#11 names of the token's mechanisms, without ``CKM_``."""
        with faults("listing mechanisms"):
            found = self.token.slot.get_mechanisms()
        known = {mechanism.value: mechanism.name for mechanism in Mechanism}
        return frozenset(known[each] for each in found if each in known)

    def description(self) -> dict[str, str]:
        """Module and token as they name themselves, for the records."""
        token, library = self.token, self._library
        major, minor = library.library_version
        return {
            "module": f"{library.library_description} {major}.{minor}",
            "manufacturer": token.manufacturer_id,
            "model": token.model,
            "serial": token.serial.decode("ascii", "replace"),
            "label": token.label,
        }

    def close(self) -> None:
        """Log out and finalise the module, so that this process may open another node."""
        _open_here.clear()
        with contextlib.suppress(pkcs11.PKCS11Error):
            self.raw.close()
        _finalise(self._library)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextlib.contextmanager
def _start_up_lock(path: Path) -> Iterator[None]:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HsmFault(f"start-up lock: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read_pin(path: Path) -> str:
    try:
        return secret_file(path).read_text("utf-8").rstrip("\r\n")
    except InvalidInput as error:
        raise HsmFault(f"PIN file: {error.cause}") from error
    except OSError as error:
        raise HsmFault(f"PIN file: {error}") from error


def _token(library: Library, label: str) -> pkcs11.Token:
    """The token called ``label``. A broken slot beside it is none of our business."""
    found: list[pkcs11.Token] = []
    for slot in library.get_slots(token_present=True):
        with contextlib.suppress(pkcs11.PKCS11Error):
            token = slot.get_token()
            if token.label == label:
                found.append(token)
    if len(found) != 1:
        raise HsmFault(f"{len(found)} tokens are called {label}")
    if found[0].flags & _LAST_CHANCE:
        raise HsmFault("the next wrong PIN would lock the token, or one has: none is tried")
    return found[0]


def _trip(breaker: Path, reason: str) -> None:
    text = f"The token refused the PIN ({reason}). Correct the PIN file, then remove this file.\n"
    descriptor = os.open(breaker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def _finalise(library: Library) -> None:
    with contextlib.suppress(pkcs11.PKCS11Error):
        library.finalize()
