"""Development tokens: SoftHSM2 in a folder of its own, for the demo and the tests. No product HSM.

Standard library only, because the bootstrap looks for the module before anything is installed.

A token is made in a process of its own (SoftHSM reads ``SOFTHSM2_CONF`` once, at C_Initialize),
and its PINs reach that process over a pipe: never a command line, never the environment. The rest
of the project reads the PIN file, like with any HSM.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODULE_PATTERNS = (
    "usr/lib/softhsm/libsofthsm2.so",  # Debian, Ubuntu, Arch
    "usr/lib/*/softhsm/libsofthsm2.so",
    "usr/lib64/pkcs11/libsofthsm2.so",  # Fedora, RHEL
    "usr/lib64/softhsm/libsofthsm.so",  # SUSE
    "usr/local/lib/softhsm/libsofthsm2.so",  # built by hand
)
_SECONDS_TO_INITIALISE = 60

_CKR_OK = 0
_CKU_SO = 0
_CKF_RW_SERIAL_SESSION = 0x2 | 0x4
_LABEL_LENGTH = 32


class TokenNotMade(Exception):
    """The module could not be found, loaded, or refused to initialise the token."""


@dataclass(frozen=True, slots=True)
class DevelopmentToken:
    """What a node's entry in the SAM configuration needs.

    ``environment`` must be set in each process that loads ``module``. ``pin_file`` (user PIN) and
    ``so_pin_file`` hold one line each and have mode 0600.
    """

    label: str
    module: Path
    pin_file: Path
    so_pin_file: Path
    environment: Mapping[str, str]


def find_module(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Path | None:
    """``$PKCS11_MODULE`` when set (it may not exist), else the system's SoftHSM2, else None."""
    chosen = environ.get("PKCS11_MODULE")
    if chosen:
        return Path(chosen)
    return next((hit for pattern in _MODULE_PATTERNS for hit in sorted(root.glob(pattern))), None)


def make_token(folder: Path, label: str, module: Path | None = None) -> DevelopmentToken:
    """A token named ``label`` with random PINs in ``folder``; the one there already when complete.

    Raises :class:`TokenNotMade`.
    """
    module = module or find_module()
    if module is None:
        raise TokenNotMade("no SoftHSM2 on this machine and PKCS11_MODULE is not set")
    folder = folder.resolve()
    configuration = folder / "softhsm2.conf"
    token = DevelopmentToken(
        label=label,
        module=module,
        pin_file=folder / "pin",
        so_pin_file=folder / "so-pin",
        environment={"SOFTHSM2_CONF": str(configuration)},
    )
    # The PIN file is written last: where it stands, the token is whole.
    if not token.pin_file.exists():
        pin, so_pin = secrets.token_hex(16), secrets.token_hex(16)
        store = folder / "tokens"
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir(parents=True, mode=0o700)
        folder.chmod(0o700)
        configuration.write_text(
            f"directories.tokendir = {store}\nobjectstore.backend = file\nlog.level = ERROR\n",
            encoding="utf-8",
        )
        _initialise_in_process_of_its_own(token, pin=pin, so_pin=so_pin)
        _write_secret(token.so_pin_file, so_pin)
        _write_secret(token.pin_file, pin)
    return token


def _write_secret(path: Path, value: str) -> None:
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(value + "\n")
    unfinished.replace(path)


def _initialise_in_process_of_its_own(token: DevelopmentToken, *, pin: str, so_pin: str) -> None:
    order = {"module": str(token.module), "label": token.label, "pin": pin, "so_pin": so_pin}
    answer = subprocess.run(  # noqa: S603 - our own interpreter and file
        [sys.executable, "-P", __file__],
        input=json.dumps(order),
        env={**os.environ, **token.environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS_TO_INITIALISE,
        check=False,
    )
    if answer.returncode != 0:
        reason = (answer.stderr.strip().splitlines() or [f"exit status {answer.returncode}"])[-1]
        raise TokenNotMade(f"token {token.label!r}: {reason}")


def _call(library: ctypes.CDLL, function: str, *arguments: object) -> None:
    """One PKCS#11 call; the functions return CK_RV, an unsigned long."""
    entry = library[function]
    entry.restype = ctypes.c_ulong
    result = entry(*arguments)
    if result != _CKR_OK:
        raise TokenNotMade(f"{function} answered CKR 0x{result:08x}")


def _slots(library: ctypes.CDLL) -> list[int]:
    count = ctypes.c_ulong()
    _call(library, "C_GetSlotList", ctypes.c_ubyte(1), None, ctypes.byref(count))
    numbers = (ctypes.c_ulong * count.value)()
    _call(library, "C_GetSlotList", ctypes.c_ubyte(1), numbers, ctypes.byref(count))
    return list(numbers)


def _padded(label: str) -> bytes:
    """A token label as PKCS#11 wants it: 32 bytes, filled with blanks."""
    raw = label.encode("utf-8")
    if len(raw) > _LABEL_LENGTH:
        raise TokenNotMade(f"label {label!r} is longer than {_LABEL_LENGTH} bytes")
    return raw.ljust(_LABEL_LENGTH)


def _label_of(library: ctypes.CDLL, slot: int) -> bytes:
    information = ctypes.create_string_buffer(
        512
    )  # CK_TOKEN_INFO (208 bytes) begins with the label
    _call(library, "C_GetTokenInfo", ctypes.c_ulong(slot), information)
    return information.raw[:_LABEL_LENGTH]


def initialise(module: str, label: str, pin: str, so_pin: str) -> None:
    """Make the first free slot of ``module`` a token named ``label``."""
    library = ctypes.CDLL(module)
    padded, user, officer = _padded(label), pin.encode("ascii"), so_pin.encode("ascii")
    _call(library, "C_Initialize", None)
    free = ctypes.c_ulong(_slots(library)[-1])  # SoftHSM always shows one uninitialised slot, last
    _call(library, "C_InitToken", free, officer, ctypes.c_ulong(len(officer)), padded)
    # SoftHSM gives the slot a new number now.
    made = next(slot for slot in _slots(library) if _label_of(library, slot) == padded)
    session = ctypes.c_ulong()
    rights = ctypes.c_ulong(_CKF_RW_SERIAL_SESSION)
    _call(library, "C_OpenSession", ctypes.c_ulong(made), rights, None, None, ctypes.byref(session))
    _call(
        library, "C_Login", session, ctypes.c_ulong(_CKU_SO), officer, ctypes.c_ulong(len(officer))
    )
    _call(library, "C_InitPIN", session, user, ctypes.c_ulong(len(user)))
    _call(library, "C_Finalize", None)


if __name__ == "__main__":
    try:
        initialise(**json.load(sys.stdin))
    except (TokenNotMade, OSError) as fault:
        sys.exit(str(fault))
