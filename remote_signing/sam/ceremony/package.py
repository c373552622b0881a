"""The recovery package and the custodians' shares, as files.

The package (public to its holders, useless without M shares) carries every cluster key wrapped
under the recovery key, and the chains that M custodians open together. ``rs-attest`` signs it.
"""

from __future__ import annotations

import hmac
import json
import operator
import os
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, cast

from remote_signing import strict_json
from remote_signing.errors import InvalidInput
from remote_signing.sam.ceremony.refusal import CeremonyRefused
from remote_signing.sam.cluster import attested_document, open_attested
from remote_signing.sam.durable import fsync_folder
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from remote_signing.sam.cluster import Cluster, Members
    from remote_signing.strict_json import JsonValue

DOMAIN = b"recovery-package"
MOST_CUSTODIANS = 10  # 252 chains at most
FEWEST_TO_OPEN = 2


@dataclass(frozen=True, slots=True)
class Custodian:
    """``index`` counts from 1; ``check`` tells this custodian's share from any other."""

    index: int
    name: str
    check: str


@dataclass(frozen=True, slots=True)
class Package:
    """``keys`` and ``chains`` are as the nodes exchange them: JSON with base64."""

    cluster_id: str
    created_at_ms: int
    threshold: int
    custodians: tuple[Custodian, ...]
    keys: list[Members]
    chains: list[Members]

    def signed(self, cluster: Cluster, attest: Callable[[bytes, bytes], bytes]) -> bytes:
        """The attested document, with what the cluster file says as well."""
        content: Members = {
            "v": 1,
            "cluster": cluster.content(),
            "created_at_ms": self.created_at_ms,
            "threshold": self.threshold,
            "custodians": [
                {"index": each.index, "name": each.name, "check": each.check}
                for each in self.custodians
            ],
            "keys": cast("JsonValue", self.keys),
            "chains": cast("JsonValue", self.chains),
        }
        return attested_document(DOMAIN, content, attest)

    @classmethod
    def read(cls, document: bytes, cluster: Cluster) -> Package:
        """The package of this cluster; ``SealBroken`` for a changed or another cluster's one."""
        content = open_attested(DOMAIN, document, cluster.attest_public_key)
        custodians = cast("list[Members]", content["custodians"])
        return cls(
            cluster_id=cluster.cluster_id,
            created_at_ms=cast("int", content["created_at_ms"]),
            threshold=cast("int", content["threshold"]),
            custodians=tuple(
                Custodian(
                    cast("int", each["index"]),
                    cast("str", each["name"]),
                    cast("str", each["check"]),
                )
                for each in custodians
            ),
            keys=cast("list[Members]", content["keys"]),
            chains=cast("list[Members]", content["chains"]),
        )


def check_quorum(custodians: int, threshold: int) -> None:
    """``CeremonyRefused`` for numbers that protect nothing or make too many chains."""
    if not FEWEST_TO_OPEN <= threshold <= custodians <= MOST_CUSTODIANS:
        raise CeremonyRefused(
            f"{threshold} of {custodians} custodians: at least {FEWEST_TO_OPEN} must be needed,"
            f" and at most {MOST_CUSTODIANS} can be there"
        )


def quorums(custodians: int, threshold: int) -> list[tuple[int, ...]]:
    """Every choice of ``threshold`` custodians, each in rising order."""
    return list(combinations(range(1, custodians + 1), threshold))


def share_file_name(index: int, custodians: int) -> str:
    """Where custodian ``index`` finds the share."""
    return f"share-{index}-of-{custodians}.json"


def write_new(path: Path, content: bytes, mode: int = 0o644) -> None:
    """A file that was not there before, on the disk when this returns."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fsync_folder(path.parent)


def write_share(path: Path, cluster_id: str, custodian: Custodian, share: bytes) -> None:
    """A custodian's share file."""
    content = {
        "v": 1,
        "what": "one custodian's share of a recovery key: keep it secret, keep it safe",
        "cluster_id": cluster_id,
        "custodian": custodian.name,
        "index": custodian.index,
        "share": b64(share),
    }
    text = json.dumps(content, ensure_ascii=False, indent=2)
    write_new(path, text.encode() + b"\n", 0o600)


def read_shares(
    paths: Iterable[Path],
    cluster_id: str,
    package: Members,
    check: Callable[[str, int, bytes], str],
) -> dict[int, bytes]:
    """Exactly as many shares as are needed, by index; ``CeremonyRefused`` says which is wrong.

    ``package`` has the members ``threshold`` and ``custodians``; ``check`` is ``share_check``.
    """
    known = {
        cast("int", each["index"]): cast("str", each["check"])
        for each in cast("list[Members]", package["custodians"])
    }
    shares: dict[int, bytes] = {}
    for path in paths:
        index, share = _read_share(path)
        expected = known.get(index, "")
        if not hmac.compare_digest(check(cluster_id, index, share), expected):
            raise CeremonyRefused(f"{path.name} is no share of this package")
        shares[index] = share
    threshold = cast("int", package["threshold"])
    if len(shares) < threshold:
        raise CeremonyRefused(f"{len(shares)} of {threshold} shares that are needed")
    return {index: shares[index] for index in sorted(shares)[:threshold]}


def _read_share(path: Path) -> tuple[int, bytes]:
    try:
        members = strict_json.loads_object(path.read_bytes())
        return operator.index(cast("int", members["index"])), unb64(members["share"], "share")
    except (OSError, InvalidInput, KeyError, TypeError) as error:
        raise CeremonyRefused(f"{path.name} cannot be read as a share") from error
