"""The flows of the consent page, and which browser tests go through each; figures of a run.

``tests/conftest.py`` prints the figures when browser tests of the page have run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


class Runs(NamedTuple):
    """Names of tests below ``tests/e2e``: ``by_touch`` by tapping, ``keyboard`` without."""

    by_touch: str
    keyboard: str


_CONSENT, _PASSKEY = "test_consent_browser.py::", "test_passkey_browser.py::"
_KEYS, _COMING_IN = "test_keyboard_browser.py::", "test_coming_in_browser.py::"
_TOUR = f"{_CONSENT}test_every_page_fits_is_reachable_and_has_no_barrier"
_BATCH, _DOCUMENTS = "test_batch_browser.py::", "test_documents_browser.py::"
_ALONE = f"{_COMING_IN}test_from_the_link_to_a_passkey_that_signs_in_with_the_keyboard_alone"
_ALL_PASSKEYS = f"{_PASSKEY}test_everything_about_passkeys_can_be_done_with_the_keyboard"
_IN_TURN = (
    f"{_BATCH}test_an_official_looks_at_three_in_turn_and_signs_them_by_one_touch_with_the_keyboard"
)
_ADD = f"{_PASSKEY}test_an_official_adds_a_passkey_and_signs_with_one_touch_and_a_double_tap_is_one"

FLOWS = {
    "first steps with a code": Runs(_TOUR, f"{_KEYS}test_first_steps_with_a_code_by_keyboard"),
    "sign in with a passkey": Runs(_ALONE, _ALONE),
    "sign in with a password, sign out": Runs(_TOUR, f"{_KEYS}test_sign_out_and_in_by_keyboard"),
    "find in the list": Runs(_TOUR, f"{_KEYS}test_find_in_the_list_by_keyboard"),
    "approve what one's own browser brought": Runs(
        f"{_CONSENT}test_an_official_signs_in_compares_approves_and_is_back_at_the_portal",
        f"{_CONSENT}test_everything_can_be_done_with_the_keyboard",
    ),
    "pick the code, approve with PIN and code": Runs(
        _TOUR, f"{_KEYS}test_pick_the_code_and_approve_by_keyboard"
    ),
    "approve with a passkey": Runs(_ADD, f"{_PASSKEY}test_a_passkey_approves_by_keyboard"),
    "approve with a SIM": Runs(
        f"{_CONSENT}test_an_official_consents_by_sim_and_is_back_at_the_portal",
        f"{_KEYS}test_ask_the_sim_and_cancel_by_keyboard",
    ),
    "read a document to its end": Runs(
        f"{_DOCUMENTS}test_a_document_is_read_and_approved_with_the_keyboard",
        f"{_KEYS}test_read_a_document_by_keyboard",
    ),
    "several in turn, one touch": Runs(
        f"{_BATCH}test_a_double_tap_a_reload_and_the_back_button_are_one_approval", _IN_TURN
    ),
    "several, one left out, PIN and code": Runs(
        _TOUR, f"{_KEYS}test_leave_one_out_and_approve_the_others_by_keyboard"
    ),
    "refuse": Runs(
        f"{_CONSENT}test_an_official_refuses_and_is_back_at_the_portal",
        f"{_KEYS}test_refuse_by_keyboard",
    ),
    "return with a reason": Runs(_TOUR, f"{_KEYS}test_return_with_a_reason_by_keyboard"),
    "history and receipt": Runs(_TOUR, f"{_KEYS}test_read_the_history_and_a_receipt_by_keyboard"),
    "certificates, delegation, help": Runs(
        _TOUR, f"{_KEYS}test_see_certificates_and_delegation_and_help_by_keyboard"
    ),
    "add a device that signs in": Runs(_ALONE, _ALONE),
    "remove a device": Runs(_TOUR, f"{_KEYS}test_remove_a_device_by_keyboard"),
    "add a passkey that approves": Runs(_ADD, _ALL_PASSKEYS),
    "lost phone: freeze all keys": Runs(_TOUR, f"{_KEYS}test_freeze_all_keys_by_keyboard"),
    "sign out everywhere": Runs(
        f"{_KEYS}test_sign_out_everywhere_by_keyboard",
        f"{_KEYS}test_sign_out_everywhere_by_keyboard",
    ),
    "let a portal see the certificates": Runs(
        f"{_CONSENT}test_access_to_the_list_is_allowed", f"{_KEYS}test_allow_a_portal_by_keyboard"
    ),
    "change the language": Runs(
        f"{_CONSENT}test_the_language_is_switched_and_stays",
        f"{_KEYS}test_change_the_language_by_keyboard",
    ),
    "check a signed document": Runs(_TOUR, f"{_KEYS}test_check_a_signed_document_by_keyboard"),
}


def figures(passed: Iterable[pytest.TestReport]) -> str | None:
    """A line about the consent page from the browser tests that passed; None without any.

    Tests of looks tell ``screens`` (a page in a look) and ``barriers`` (what axe and our own
    measures found on them) as properties.
    """
    reports = list(passed)
    names = {report.nodeid.rpartition("tests/e2e/")[2].partition("[")[0] for report in reports}
    gone = [runs for runs in FLOWS.values() if names & {runs.by_touch, runs.keyboard}]
    told = [pair for report in reports for pair in report.user_properties]
    screens, barriers = (
        sum(int(str(value)) for name, value in told if name == of) for of in ("screens", "barriers")
    )
    if not gone and not screens:
        return None
    by_keyboard = sum(runs.keyboard in names for runs in FLOWS.values())
    return (
        f"consent page: {len(gone)} of {len(FLOWS)} flows, {by_keyboard} by keyboard alone, "
        f"{screens} screens, {barriers} barriers (axe and our own)"
    )
