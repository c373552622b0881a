"""What the signer sees of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp import activation
from remote_signing.rssp.activation import Channel, State
from tests.support.world import PORTAL, digest

if TYPE_CHECKING:
    from tests.support.world import World


def test_details_say_who_asks_for_what_with_which_certificate(world: World) -> None:
    waiting = world.opened("a.pdf", "b.pdf")
    seen = activation.details(world.services, waiting, world.subscriber_id)
    assert seen.client_name == "Cổng dịch vụ công"
    assert seen.description == "Quyết định bổ nhiệm"
    assert [item.label for item in seen.documents] == ["a.pdf", "b.pdf"]
    assert seen.documents[0].digest == digest("a.pdf").hex()
    assert seen.hash_algorithm == "sha256"
    assert seen.signer_name == "Nguyễn Văn An"
    assert seen.certificate[:1] == b"\x30"
    assert seen.redirect_origin == "https://portal.example"
    assert seen.expires_at_ms - seen.created_at_ms == 300_000
    assert seen.state is State.PENDING


def test_documents_without_labels_are_seen_by_their_hashes(world: World) -> None:
    waiting = world.opened("a", labels=(), channel=Channel.DECOUPLED, redirect_uri=None)
    seen = activation.details(world.services, waiting, world.subscriber_id)
    assert [(item.label, item.digest) for item in seen.documents] == [(None, digest("a").hex())]
    assert seen.redirect_origin is None


def test_an_overdue_request_is_seen_as_expired_before_the_housekeeping(world: World) -> None:
    waiting = world.opened()
    world.clock.advance(300)
    seen = activation.details(world.services, waiting, world.subscriber_id)
    assert seen.state is State.EXPIRED


def test_a_pushed_request_waits_only_once_a_browser_has_opened_it(world: World) -> None:
    asked = activation.request_activation(world.services, world.request())
    assert waiting_ids(world) == []
    activation.open_request(world.services, PORTAL, asked.ticket)
    waiting = activation.pending(world.services, world.subscriber_id).requests
    assert [item.activation_id for item in waiting] == [asked.activation_id]
    assert waiting[0].verification_code == asked.verification_code


def test_waiting_requests_come_by_their_end_and_leave_when_answered(world: World) -> None:
    first = world.opened(channel=Channel.DECOUPLED)
    world.clock.advance(1)
    second = world.opened(channel=Channel.DECOUPLED)
    assert waiting_ids(world) == [first, second]
    activation.deny(world.services, world.session, first)
    assert waiting_ids(world) == [second]
    world.clock.advance(300)
    assert waiting_ids(world) == []


def test_nobody_sees_somebody_elses_requests(world: World) -> None:
    world.opened(channel=Channel.DECOUPLED)
    world.new_signer("binh.tran")
    assert waiting_ids(world) == []


def waiting_ids(world: World) -> list[str]:
    page = activation.pending(world.services, world.subscriber_id)
    return [item.activation_id for item in page.requests]
