"""The logos of portals as a visitor gets them."""

from __future__ import annotations

import pytest

from tests.support.consent_api import CAME_BY_ITSELF, LOGO, LOGO_DIGEST, REQUEST
from tests.support.consent_visitor import Visitor

ADDRESS = f"/logos/{LOGO_DIGEST}"


@pytest.fixture
def visitor() -> Visitor:
    found = Visitor().signed_in()
    found.rssp.add_request(**CAME_BY_ITSELF)
    return found


def test_a_logo_stands_beside_the_name_and_says_nothing_of_its_own(visitor: Visitor) -> None:
    for page in ("/", f"/requests/{REQUEST}"):
        text = visitor.get(page).text
        assert f'<img class="logo" src="{ADDRESS}" alt=""' in text
        assert "<bdi>Cổng một cửa Sở Nội vụ</bdi>" in text


def test_a_portal_without_a_logo_has_the_first_letter_of_its_name(visitor: Visitor) -> None:
    visitor.rssp.add_request(client_logo=None, client_name="đăng ký hộ tịch")
    text = visitor.get(f"/requests/{REQUEST}").text
    assert '<span class="logo" aria-hidden="true">Đ</span>' in text


def test_a_logo_is_kept_by_the_browser_and_can_do_nothing(visitor: Visitor) -> None:
    answer = visitor.get(ADDRESS)
    assert (answer.status_code, answer.content) == (200, LOGO)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["content-security-policy"].startswith("sandbox")


def test_a_logo_that_is_not_there_is_a_page_that_says_so(visitor: Visitor) -> None:
    assert visitor.get(f"/logos/{'0' * 64}").status_code == 404
    assert visitor.get("/logos/nothing").status_code == 404


def test_strangers_see_no_logos() -> None:
    answer = Visitor().get(ADDRESS)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
