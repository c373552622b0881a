"""The block ciphers of TS 102 225: AES-CBC with AES-CMAC, and 3DES for cards of an older age.

The initial vector is always zero: a packet's first ciphered octets are its counter, which never
repeats under one key. Single DES and ECB are left out; nothing may accept them.
"""

from __future__ import annotations

import enum

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

CHECKSUM_OCTETS = 8


class Algorithm(enum.IntEnum):
    """Low nibble of KIc and KID (TS 102 225 cl. 5.1.2 and 5.1.3)."""

    AES = 0x2
    TRIPLE_DES_2 = 0x5  # two keys: encrypt with the first, decrypt with the second, encrypt again
    TRIPLE_DES_3 = 0x9

    @property
    def block(self) -> int:
        """Octets of a block."""
        return 16 if self is Algorithm.AES else 8

    @property
    def key_lengths(self) -> tuple[int, ...]:
        """Octets that a key may have."""
        return _KEY_LENGTHS[self]


_KEY_LENGTHS = {
    Algorithm.AES: (16, 24, 32),
    Algorithm.TRIPLE_DES_2: (16,),
    Algorithm.TRIPLE_DES_3: (24,),
}


def encrypt(algorithm: Algorithm, key: bytes, padded: bytes) -> bytes:
    """CBC with a zero initial vector; ``padded`` is a whole number of blocks."""
    encryptor = _cbc(algorithm, key).encryptor()
    return encryptor.update(padded) + encryptor.finalize()


def decrypt(algorithm: Algorithm, key: bytes, ciphered: bytes) -> bytes:
    """The reverse of :func:`encrypt`."""
    decryptor = _cbc(algorithm, key).decryptor()
    return decryptor.update(ciphered) + decryptor.finalize()


def checksum(algorithm: Algorithm, key: bytes, data: bytes) -> bytes:
    """Eight octets: the head of the AES-CMAC, or the last block of the 3DES CBC-MAC."""
    if algorithm is Algorithm.AES:
        mac = CMAC(algorithms.AES(key))
        mac.update(data)
        return mac.finalize()[:CHECKSUM_OCTETS]
    return encrypt(algorithm, key, data + bytes(-len(data) % algorithm.block))[-CHECKSUM_OCTETS:]


def _cbc(algorithm: Algorithm, key: bytes) -> Cipher[modes.CBC]:
    zero = modes.CBC(bytes(algorithm.block))
    if algorithm is Algorithm.AES:
        return Cipher(algorithms.AES(key), zero)
    whole = key + key[:8] if algorithm is Algorithm.TRIPLE_DES_2 else key
    return Cipher(TripleDES(whole), zero)
