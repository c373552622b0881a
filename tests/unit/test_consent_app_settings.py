"""Settings kept in a cookie, simple mode, the page of security, and what is compressed."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.consent_api import CAME_BY_ITSELF, OTHER_REQUEST, REQUEST
from tests.support.consent_visitor import Visitor
from tests.support.fake_coming_in import CERTIFICATE, ENTRY, OPENED, held

HERE = f"/requests/{REQUEST}"
LOOK = "__Host-consent-look"


@pytest.fixture
def visitor() -> Visitor:
    """Signed in, with two requests waiting."""
    found = Visitor().signed_in()
    found.rssp.add_request()
    found.rssp.add_request(OTHER_REQUEST, description="Ký tờ trình")
    return found


def keep(visitor: Visitor, **changes: str) -> None:
    chosen = {"theme": "dark", "text_size": "150", "language": "vi", **changes}
    answer = visitor.send(visitor.get("/settings"), "/settings", **chosen)
    assert answer.headers["location"] == "/settings"
    assert '<div class="notice good"' in visitor.follow(answer).text


def in_sight(html: str) -> str:
    """The page without what is folded away in ``details``."""
    return re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)


# ------------------------------------------------------------------------------------- settings


def test_settings_hold_before_signing_in_and_ask_nobody() -> None:
    visitor = Visitor()
    keep(visitor, simple="on")
    page = visitor.get("/sign-in").text
    assert '<html lang="vi" data-text="150" data-simple ' in page
    assert '<meta name="color-scheme" content="dark">' in page
    assert visitor.cookies[LOOK] == "dark.150.1"
    assert visitor.rssp.calls == []


def test_settings_hold_after_signing_in_and_the_page_says_which() -> None:
    visitor = Visitor()
    keep(visitor, text_size="200", theme="light", language="en")
    visitor.sign_in()
    assert 'lang="en" data-text="200">' in visitor.get("/").text
    page = visitor.get("/settings").text
    chosen = re.findall(r'name="(\w+)" value="(\w+)" checked', page)
    assert dict(chosen) == {"text_size": "200", "theme": "light", "language": "en"}


@pytest.mark.parametrize(
    ("theme", "sheet"),
    [("light", None), ("dark", ">"), ("system", ' media="(prefers-color-scheme: dark)">')],
)
def test_the_theme_is_in_the_first_bytes(theme: str, sheet: str | None) -> None:
    visitor = Visitor()
    visitor.cookies[LOOK] = f"{theme}.100.0"
    found = re.search(
        r'<link rel="stylesheet" href="/static/dark\.css\?v=\w+"(.*)', visitor.get("/help").text
    )
    assert (found and found[1]) == sheet


def test_the_cookie_is_for_us_alone_and_lasts() -> None:
    visitor = Visitor()
    page = visitor.get("/settings")
    chosen = {"theme": "dark", "text_size": "100", "language": "vi"}
    lines = visitor.send(page, "/settings", **chosen).headers.get_list("set-cookie")
    (line,) = (line for line in lines if line.startswith(LOOK))
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=31536000"):
        assert part in line


@pytest.mark.parametrize(
    "value",
    [
        "",
        "dark",
        "pink.100.0",
        "dark.175.0",
        "dark.100.2",
        "dark.100.0.0",
        "dark.1e2.0",
        "x" * 4000,
    ],
)
def test_a_cookie_that_is_no_look_is_no_look(value: str) -> None:
    visitor = Visitor()
    visitor.cookies[LOOK] = value
    answer = visitor.get("/help")
    assert answer.status_code == 200
    assert "data-text" not in answer.text.partition("<head>")[0]


@pytest.mark.parametrize(
    "changes",
    [{"theme": "pink"}, {"text_size": "175"}, {"language": "fr"}, {"theme": "x" * 99}],
    ids=str,
)
def test_values_that_there_are_not_are_refused(changes: dict[str, str]) -> None:
    visitor = Visitor()
    page = visitor.get("/settings")
    chosen = {"theme": "dark", "text_size": "100", "language": "vi"} | changes
    assert visitor.send(page, "/settings", **chosen).status_code == 400
    assert LOOK not in visitor.cookies


def test_another_site_cannot_change_the_look() -> None:
    visitor = Visitor()
    data = {"theme": "dark", "text_size": "200", "language": "en"}
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert visitor.ask("POST", "/settings", data=data, headers=headers).status_code == 403
    assert LOOK not in visitor.cookies


# ---------------------------------------------------------------------------------- simple mode


def test_simple_mode_has_larger_type_unless_it_is_larger_already() -> None:
    visitor = Visitor()
    for size, shown in (("100", "125"), ("125", "125"), ("200", "200")):
        visitor.cookies[LOOK] = f"system.{size}.1"
        assert f'data-text="{shown}" data-simple ' in visitor.get("/help").text


def test_simple_mode_shows_one_request_and_folds_the_others(visitor: Visitor) -> None:
    visitor.cookies[LOOK] = "system.100.1"
    page = visitor.get("/").text
    assert "Có 2 yêu cầu đang chờ trả lời." in page
    assert f'href="/requests/{REQUEST}"' in in_sight(page)
    assert f'href="/requests/{OTHER_REQUEST}"' not in in_sight(page)
    assert f'href="/requests/{OTHER_REQUEST}"' in page
    assert 'role="search"' not in page


@pytest.mark.parametrize("came_by_itself", [False, True])
def test_simple_mode_hides_nothing_that_one_must_know_before_signing(
    visitor: Visitor, *, came_by_itself: bool
) -> None:
    changes = CAME_BY_ITSELF | {"codes": [], "verification_code": "4821"} if came_by_itself else {}
    visitor.rssp.add_request(REQUEST, 3, **changes)
    visitor.cookies[LOOK] = "system.100.1"
    page = visitor.get(HERE).text
    seen = in_sight(page)
    facts = [
        *("Cổng một cửa Sở Nội vụ", "Ký ban hành quyết định bổ nhiệm", "4821".replace("", " ")),
        *("Số 1234/QĐ-SNV ngày 24/11/2026", "Số 87/TTr-SNV", "Văn bản 3 (không có tên)"),
        *("Nguyễn Thị Minh Khai", "Sở Nội vụ thành phố Hà Nội", "15/01/2026", "14/01/2029"),
        *("Thời gian còn lại", "giá trị pháp lý", "không gửi nội dung", 'name="pin"'),
    ]
    if came_by_itself:
        facts += ["Thượng khẩn", "27/11/2026 17:00", "1234/QĐ-SNV", "Trình ký lần 2"]
    assert [fact for fact in facts if fact.strip() not in seen] == []
    assert "0c0c 0c0c" in seen, "all there is of a document without a name"
    assert "0a0a 0a0a" not in seen
    assert "0a0a 0a0a" in page, "folded, not gone"
    assert "5F3A 9C1E" in page


@pytest.mark.parametrize("path", ["/batch", f"/history/{REQUEST}"])
def test_simple_mode_folds_the_hashes_of_what_is_and_was_signed_and_keeps_them(
    visitor: Visitor, path: str
) -> None:
    chosen = CAME_BY_ITSELF | {"codes": [], "verification_code": "4821"}
    for name in (REQUEST, OTHER_REQUEST):
        visitor.rssp.add_request(name, 2, **chosen)
    visitor.rssp.add_past()
    visitor.cookies[LOOK] = "system.100.1"
    page = visitor.get(path).text
    folded = ["0a0a 0a0a"] if path == "/batch" else ["0a0a 0a0a", "01" * 32]
    for value in folded:
        assert value not in in_sight(page)
        assert value in page


def test_simple_mode_does_not_lead_through_many_to_one_approval(visitor: Visitor) -> None:
    for name in (REQUEST, OTHER_REQUEST):
        visitor.rssp.add_request(name, **CAME_BY_ITSELF)
    assert 'href="/batch/next"' in visitor.get("/").text
    visitor.cookies[LOOK] = "system.100.1"
    assert "/batch" not in visitor.get("/").text
    visitor.rssp.add_request(REQUEST, **(CAME_BY_ITSELF | {"codes": []}))
    assert "/batch" not in visitor.get(HERE).text


def test_simple_mode_keeps_the_warning_of_a_request_without_documents(visitor: Visitor) -> None:
    visitor.rssp.add_request(documents=[], hash_algorithm=None)
    visitor.cookies[LOOK] = "system.100.1"
    assert "có thể ký bất kỳ nội dung nào" in in_sight(visitor.get(HERE).text)


# ------------------------------------------------------------------------------------- security


def _certificate(begins: int, ends: int) -> dict[str, str]:
    """Valid from and until so many days from now."""
    now = datetime.now(UTC)
    span = {"not_before": now + timedelta(begins), "not_after": now + timedelta(ends)}
    return CERTIFICATE | {name: when.isoformat() for name, when in span.items()}


@pytest.mark.parametrize(
    ("state", "begins", "ends", "is_calm"),
    [
        ("expired", -900, -100, True),  # long ago
        ("expired", -900, -3, True),  # replaced by the valid one, which began later
        ("revoked", -900, 100, True),
        ("expired", -5, -3, False),  # newer than the valid one
        ("revoked", -5, 900, False),
        ("revoked", -900, -100, True),
        ("suspended", -900, 100, False),
        ("frozen", -900, 100, False),
    ],
)
def test_only_a_certificate_that_ended_lately_and_was_not_replaced_is_amiss(
    visitor: Visitor, state: str, begins: int, ends: int, *, is_calm: bool
) -> None:
    visitor.rssp.coming_in.credentials = [
        held(certificate=_certificate(-100, 900)),
        held(id=ENTRY, state=state, certificate=_certificate(begins, ends)),
    ]
    assert ('class="card state calm"' in visitor.get("/security").text) is is_calm


def test_a_revoked_certificate_without_another_is_amiss(visitor: Visitor) -> None:
    visitor.rssp.coming_in.credentials = [held(state="revoked", certificate=None)]
    assert 'class="card state calm"' not in visitor.get("/security").text


def test_the_page_of_security_says_that_all_is_in_order(visitor: Visitor) -> None:
    page = visitor.get("/security").text
    assert 'class="card state calm"' in page
    assert "Bạn tự chọn ngày" in page
    assert "Gần đây có 1 lần nhập sai mật khẩu." in page
    assert "+84912345678" in page
    for address in ("/lost-phone", "/devices", "/passkeys", "/certificates", "/welcome"):
        assert f'href="{address}"' in page


@pytest.mark.parametrize("amiss", ["frozen", "locked", "news"])
def test_the_page_of_security_says_what_is_amiss(visitor: Visitor, amiss: str) -> None:
    words = {"frozen": "đang bị khóa khẩn cấp", "locked": "Bị khóa do nhập sai mã"}
    visitor.rssp.frozen = 2 if amiss == "frozen" else 0
    if amiss == "locked":
        visitor.rssp.coming_in.credentials = [held(), held(state="locked", description=None)]
    if amiss == "news":
        visitor.rssp.passkeys.add("Máy lạ")
    page = visitor.get("/security").text
    assert 'class="card state alarm"' in page
    assert words.get(amiss, "Máy lạ") in page


def test_a_service_without_passkeys_has_a_page_of_security_all_the_same(visitor: Visitor) -> None:
    visitor.rssp.passkeys.is_absent = True
    page = visitor.get("/security").text
    assert 'class="card state calm"' in page
    assert 'href="/passkeys"' not in page
    visitor.rssp.away = True
    assert visitor.get("/security").status_code == 503


@pytest.mark.parametrize("others_place", [0, 1], ids=["since", "before"])
def test_the_last_sign_in_that_is_not_this_one_is_told(visitor: Visitor, others_place: int) -> None:
    assert "Lần đăng nhập trước" not in visitor.get("/security").text
    coming_in = visitor.rssp.coming_in
    coming_in.kinds = ("session.opened", "session.opened")
    at = [OPENED]
    at.insert(others_place, "2026-11-25T04:05:06Z")
    coming_in.at = tuple(at)
    told = re.search('Lần đăng nhập trước: <time datetime="([^"]*)"', visitor.get("/security").text)
    assert told is not None
    assert told[1].startswith("2026-11-25T")


def test_a_lost_phone_is_one_page_with_one_button(visitor: Visitor) -> None:
    page = visitor.get("/lost-phone")
    assert "Khóa khẩn cấp mọi" in page.text
    told = visitor.follow(visitor.send(page, "/account/freeze")).text
    assert "Các chứng thư số của bạn đã bị khóa khẩn cấp" in told
    assert visitor.rssp.frozen == 2


def test_who_looks_for_a_lost_phone_signs_in_and_comes_there() -> None:
    visitor = Visitor()
    asked = visitor.get("/lost-phone")
    assert visitor.sign_in(path=asked.headers["location"]).headers["location"] == "/lost-phone"


# ---------------------------------------------------------------------------------- compression


def address_of(visitor: Visitor, name: str) -> str:
    found = re.search(rf"/static/{name}\?v=\w+", visitor.get("/sign-in").text)
    assert found
    return found[0]


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        *(("gzip, deflate, br", True), ("br;q=1, GZIP ; q=0.5", True), ("identity", False)),
        *(("", False), ("gzip;q=0", False), ("gzip;q=0.0", False)),
    ],
)
def test_a_static_file_is_compressed_for_who_takes_it(accepted: str, *, is_packed: bool) -> None:
    visitor = Visitor()
    address = address_of(visitor, "consent.css")
    answer = visitor.get(address, headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("content-encoding") == "gzip") is is_packed
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"].endswith("immutable")
    assert ".card {" in answer.text
    if is_packed:
        size = int(answer.headers["content-length"])
        assert size < len(answer.content) / 2
        assert size == len(gzip.compress(answer.content, mtime=0))


def test_a_page_is_never_compressed_here_or_on_its_way(visitor: Visitor) -> None:
    for path in ("/", HERE, "/sign-in", "/settings", "/security"):
        answer = visitor.get(path, headers={"Accept-Encoding": "gzip, br"})
        assert "content-encoding" not in answer.headers
        assert answer.headers["cache-control"] == "no-store, no-transform"
