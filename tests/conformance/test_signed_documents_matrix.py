"""Format, level, envelope and algorithm, each result judged by programs that are not ours.

    SIGNED_DOCUMENTS=all .venv/bin/pytest -n 0 -s tests/conformance/test_signed_documents_matrix.py

makes every cell and tells how many there are; without the variable each format, level and envelope
is made once.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from remote_signing.rssp.documents.model import ENVELOPES
from tests.support.matrix import ALGORITHMS, BY_DIGEST, FORMATS, Cell, cells, few

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remote_signing.rssp.documents.model import Format
    from tests.support.documents import DocumentPortal

WHOLE = os.environ.get("SIGNED_DOCUMENTS") == "all"
CELLS = list(cells(list(ALGORITHMS))) if WHOLE else few()


@pytest.fixture(scope="module")
def tally() -> Iterator[Counter[Format]]:
    """How many cells of each format its judges have accepted."""
    counted: Counter[Format] = Counter()
    yield counted
    for kind, number in counted.items():
        print(f"\n{kind}: {number} cells accepted by {FORMATS[kind].judges}", end="")
    print(f"\n{counted.total()} cells")


@pytest.fixture(scope="module")
def signed(furnished: DocumentPortal) -> dict[str, bytes]:
    """What a Parallel signature is put beside, by format."""
    furnished.now()
    furnished.world.new_credential()
    kinds = [kind for kind in FORMATS if "Parallel" in ENVELOPES[kind]]
    wanted = [Cell(kind, "B-LTA", "Attached", "ES256").entry(b"") for kind in kinds]
    made = furnished.sign(*wanted)["DocumentWithSignature"]
    return dict(zip(kinds, map(base64.b64decode, made), strict=True))


def test_every_format_has_its_judge() -> None:
    assert FORMATS.keys() == ENVELOPES.keys()


def test_in_the_small_matrix_each_algorithm_meets_each_format() -> None:
    chosen = few()
    assert {(each.algorithm, each.format) for each in chosen} == {
        (algorithm, kind) for algorithm in ALGORITHMS for kind in FORMATS
    }
    assert len(chosen) == len(list(cells(["any"])))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_cell_is_accepted(
    furnished: DocumentPortal,
    signed: dict[str, bytes],
    tally: Counter[Format],
    algorithm: str,
    tmp_path: Path,
) -> None:
    furnished.now()
    furnished.world.new_credential(algorithm=ALGORITHMS[algorithm][0], scal="1")
    mine = [each for each in CELLS if each.algorithm == algorithm]
    sad = furnished.sad_for(len(mine))
    for is_digest in (False, True):
        asked = [each for each in mine if (each.envelope == BY_DIGEST) is is_digest]
        if not asked:
            continue
        entries = [each.entry(signed.get(each.format, b"")) for each in asked]
        found = furnished.post("signatures/signDoc", furnished.order(*entries, SAD=sad))
        assert found.status_code == 200, found.text
        answer = found.json()
        apart = iter(answer.get("SignatureObject", []))
        inside = iter(answer.get("DocumentWithSignature", []))
        for each in asked:
            given = apart if each.is_apart else inside
            FORMATS[each.format].judge(furnished, each, base64.b64decode(next(given)), tmp_path)
            tally[each.format] += 1
        assert list(apart) == list(inside) == []
