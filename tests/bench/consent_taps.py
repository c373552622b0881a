"""Taps and seconds from the opened notification to the signature, in Chromium at a phone's size.

    .venv/bin/python -m tests.bench.consent_taps [--batch 20] [--rounds 5] [--json FILE]

A robot that does not think does what an official would: opens the link of the notification, picks
the portal's code, approves; then the portal fetches its SAD and signs. Counted are taps, typed
digits and touches of the passkey; timed is what the official waits for: from each tap to the page
that it leads to, server and rendering together. Reading and thinking are left out. The service and
the page run on this machine, on a database file, with the SAM's verbs over keys in software: no
network, no HSM. Whoever adds a network adds about two round trips for each page.

Beside it stands an estimate for a person by the keystroke-level model (Card, Moran and Newell,
Communications of the ACM 23(7), 1980): M 1.35 s to get ready for each thing to do, P 1.10 s to
point at it, K 0.28 s for a key. The numbers are of desks and mice, and no official was measured: it
serves to compare ways with each other. A touch of the passkey is taken as one M and 1 s.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from playwright.sync_api import sync_playwright

from remote_signing.bootstrap import find_chromium
from tests.support.consent_stage import Look, sandbox
from tests.support.passkey_stage import PasskeyStage, passkey_stage, plug_in
from tests.support.sqlite import SqliteFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from remote_signing.rssp.activation import Requested
    from tests.conftest import Databases

M, P, K, TOUCH = 1.35, 1.10, 0.28, 1.0  # seconds, see above
PASSKEY = "#passkey [data-start]"


@dataclass
class Counted:
    """What an official does, and what he waits for (seconds)."""

    taps: int = 0
    digits: int = 0
    touches: int = 0
    other_app: int = 0
    waited: float = 0.0

    @property
    def person(self) -> float:
        """The keystroke-level model's seconds for a person, waiting included, reading not."""
        acts = self.taps * (M + P + K) + self.digits * K + self.touches * (M + TOUCH)
        return acts + self.other_app * (M + P + K) + self.waited


class Finger:
    """Taps and types on a page, and counts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.counted = Counted()

    def open(self, address: str) -> None:
        """Tap the notification."""
        self._wait_for(lambda: self.page.goto(address), None)
        self.counted.taps += 1

    def tap(self, what: str, then: str | None = None) -> None:
        """Tap ``what``, and wait for the page and for ``then`` on it."""
        self._wait_for(lambda: self.page.click(what), then)
        self.counted.taps += 1

    def touch(self, what: str, then: str) -> None:
        """Tap a button that asks the passkey, and touch."""
        self.tap(what, then)
        self.counted.touches += 1

    def type(self, field: str, digits: str) -> None:
        """Tap a field and type into it."""
        self.page.fill(field, digits)
        self.counted.taps += 1
        self.counted.digits += len(digits)

    def _wait_for(self, act: Callable[[], object], then: str | None) -> None:
        began = time.perf_counter()
        act()
        if then is not None:
            self.page.wait_for_selector(then)
        self.page.wait_for_load_state()
        self.counted.waited += time.perf_counter() - began


@dataclass(frozen=True)
class Way:
    """A stage with a signed-in official, and how he approves."""

    stage: PasskeyStage
    page: Page
    by: str

    def single(self) -> Counted:
        """The notification leads to the request; pick, approve; the portal signs."""
        asked = self.stage.asked("quyết định.pdf")
        finger = Finger(self.page)
        finger.open(f"{self.stage.home}/requests/{asked.activation_id}")
        finger.tap(self._code(asked), "#answer #pin")
        self._approve(finger, "h1:has-text('Đã phê duyệt')")
        return self._signed(finger, {"quyết định.pdf": asked})

    def batch(self, count: int) -> Counted:
        """The notification leads to the list; each is looked at in turn; approve all."""
        named = {f"văn bản {n}.pdf": self.stage.asked(f"văn bản {n}.pdf") for n in range(count)}
        codes = {asked.activation_id: asked for asked in named.values()}
        finger = Finger(self.page)
        finger.open(self.stage.home)
        finger.tap("a[href='/batch/next']", "#h-pick")
        for left in range(count, 0, -1):
            name = self.page.url.rpartition("/")[2].partition("?")[0]
            then = "#h-pick" if left > 1 else "#h-approve"
            with self.page.expect_navigation(url=re.compile(rf"^(?!.*{name})")):
                finger.tap(self._code(codes[name]))
            self.page.wait_for_selector(then)
        self._approve(finger, ".notice.good")
        return self._signed(finger, named)

    @staticmethod
    def _code(asked: Requested) -> str:
        return f"form:has([name=code][value='{asked.verification_code}']) button"

    def _approve(self, finger: Finger, then: str) -> None:
        if self.by == "passkey":
            finger.touch(PASSKEY, then)
            return
        world = self.stage.place.world
        world.next_step()
        # The authenticator app is another one: there, a look at the code, and back.
        finger.counted.other_app += 2
        finger.type("#pin", world.pin)
        finger.type("#otp", world.otp())
        finger.tap("#answer button.main", then)

    def _signed(self, finger: Finger, asked: dict[str, Requested]) -> Counted:
        began = time.perf_counter()
        for document, each in asked.items():
            if self.stage.signed(each, document) != 1:
                raise RuntimeError(f"{document} is not signed")
        finger.counted.waited += time.perf_counter() - began
        return finger.counted


def middle(rounds: list[Counted]) -> Counted:
    """The same counts, which must not differ, and the median of the seconds."""
    counts = [replace(each, waited=0.0) for each in rounds]
    if any(each != counts[0] for each in counts):
        raise RuntimeError("another number of taps each time")
    return replace(rounds[0], waited=statistics.median(each.waited for each in rounds))


def measure(stage: PasskeyStage, page: Page, batch: int, rounds: int) -> dict[str, Counted]:
    """Each way with each factor, after one round that warms up."""
    found = {}
    for by in ("passkey", "PIN + OTP"):
        way = Way(stage, page, by)
        way.single()
        found[f"one request, {by}"] = middle([way.single() for _ in range(rounds)])
        several = max(1, rounds // 2)
        found[f"{batch} requests, {by}"] = middle([way.batch(batch) for _ in range(several)])
    return found


def run(batch: int, rounds: int) -> dict[str, Counted]:
    """The figures, from a stage of its own."""
    folder = Path(tempfile.mkdtemp())
    database = cast("Databases", SqliteFolder(folder))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=sandbox())
        with passkey_stage(database, folder) as stage:
            page = Look().open(browser).new_page()
            plug_in(page)
            stage.sign_in(page, "/passkeys")
            stage.add(page)
            stage.cool_off()
            stage.sign_in(page)
            found = measure(stage, page, batch, rounds)
        browser.close()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given: Any = parser.parse_args()
    found = run(given.batch, given.rounds)
    print(f"{'':28}  taps  digits  touches  other app  waited s  person s (KLM)")
    for name, one in found.items():
        counts = f"{one.taps:6}{one.digits:8}{one.touches:9}{one.other_app:11}"
        print(f"{name:28}{counts}{one.waited:10.2f}{one.person:16.1f}")
    if given.json is not None:
        told = {name: asdict(one) | {"person": one.person} for name, one in found.items()}
        given.json.write_text(json.dumps(told, ensure_ascii=False, indent=1), "utf-8")
    print(f"Robot's time on {os.cpu_count()} cores, medians of {given.rounds} rounds; no network.")


if __name__ == "__main__":
    main()
