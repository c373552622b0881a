"""The rest of the tour: settings, security, passkeys, and rarer states of pages seen before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.consent_api import CAME_BY_ITSELF, OTHER_REQUEST, REQUEST, SERVICE
from tests.support.fake_coming_in import CERTIFICATE, HELD, held
from tests.support.fake_passkeys import PASSKEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.support.consent_stage import Stage

LONG_NAME = "Ủy ban nhân dân phường Nghĩa Đô quận Cầu Giấy thành phố Hà Nội " * 3
UNBROKEN = "1234567890/QĐ-UBND-SNV-VP-TCCB-KHTC-" * 8
LONG_SIGNER = {
    "full_name": "Công Tằng Tôn Nữ Nguyễn Phước Thị Hoàng Diễm My",
    "position": "Phó Trưởng ban Chỉ đạo kiêm Chánh Văn phòng Điều phối",
    "agency": LONG_NAME.strip(),
}


def settings(page: Page, stage: Stage) -> Iterator[str]:
    """Before signing in."""
    page.goto(f"{stage.home}/settings")
    yield "settings"
    page.click("main form button.main")
    page.wait_for_selector(".notice.good")
    yield "settings-kept"


def security(page: Page, stage: Stage) -> Iterator[str]:
    """Signed in: all in order, something amiss, a lost phone; the passkeys that approve."""
    page.goto(f"{stage.home}/security")
    yield "security"
    page.goto(f"{stage.home}/passkeys")
    yield "passkeys-none"
    passkeys = stage.rssp.passkeys
    passkeys.add()
    page.reload()
    yield "passkeys"
    page.goto(f"{stage.home}/passkeys/{HELD}/add")
    yield "passkey-add"
    page.goto(f"{stage.home}/passkeys/{PASSKEY}/remove")
    yield "passkey-remove"
    passkeys.tell("passkey_copied", "Máy tính bảng")
    another = {"id": PASSKEY, "certificate": {**CERTIFICATE, "serial": "77" * 16}}
    locked = held(state="locked", description="Ký quyết định", **another)
    stage.rssp.coming_in.credentials = [held(), locked]
    page.goto(f"{stage.home}/security")
    yield "security-alarm"
    passkeys.there, passkeys.notices = [], []
    page.goto(f"{stage.home}/lost-phone")
    yield "lost-phone"


def rarer(page: Page, stage: Stage) -> Iterator[str]:
    """Signed in: what is seldom seen, for those who look at pictures."""
    rssp, home = stage.rssp, stage.home
    here = f"{home}/requests/{REQUEST}"
    rssp.passkeys.add()
    rssp.add_request()
    page.goto(home)
    yield "list-with-news"
    rssp.passkeys.there, rssp.passkeys.notices = [], []
    yield from _long(page, stage)
    denials: list[dict[str, Any]] = [
        {"kind": "returned", "reason": "attachments", "text": "Thiếu tờ trình của Vụ Pháp chế"},
        {"kind": "refused", "reason": "not_requested", "text": None},
    ]
    for denial in denials:
        rssp.add_request(**(CAME_BY_ITSELF | {"state": "DENIED", "denial": denial, "codes": []}))
        page.goto(here)
        yield f"outcome-{denial['kind']}"
    rssp.add_request(state="AUTHORIZED")
    page.goto(here)
    yield "authorized"
    for state in ("DENIED", "EXPIRED"):
        rssp.add_service(state=state)
        page.goto(f"{home}/services/{SERVICE}")
        yield f"service-{state.lower()}"
    rssp.add_request(documents=[], hash_algorithm=None)
    page.goto(here)
    yield "documents-unknown"
    page.goto(f"{home}/history?q=nowhere")
    yield "history-nothing-found"


def _long(page: Page, stage: Stage) -> Iterator[str]:
    """Names that are too long for any line."""
    rssp = stage.rssp
    document = {"label": UNBROKEN, "digest": "0f" * 32}
    details = CAME_BY_ITSELF["details"] | {"document_name": LONG_NAME, "label": UNBROKEN[:80]}
    given = CAME_BY_ITSELF | {"details": details, "codes": [], "verification_code": "0097"}
    given |= {"client_name": LONG_NAME, "subscriber": LONG_SIGNER, "documents": [document] * 2}
    rssp.add_request(OTHER_REQUEST, **given)
    page.goto(stage.home)
    yield "list-long-names"
    page.goto(f"{stage.home}/requests/{OTHER_REQUEST}")
    yield "request-long-names"
    del rssp.requests[OTHER_REQUEST]
