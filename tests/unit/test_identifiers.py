import hashlib

from remote_signing.identifiers import Ticket, is_id, made_at_ms, new_id


def test_ids_rise_with_time_and_do_not_repeat() -> None:
    ids = [new_id(1_800_000_000_000 + step) for step in range(1000)]
    assert ids == sorted(ids)
    assert len({new_id(5) for _ in range(1000)}) == 1000
    assert all(is_id(value) for value in ids)


def test_an_id_tells_when_it_was_made() -> None:
    for moment in (0, 1, 1_800_000_000_123, (1 << 48) - 1):
        assert made_at_ms(new_id(moment)) == moment


def test_other_text_is_no_id() -> None:
    assert not is_id("")
    assert not is_id(new_id(1).upper())
    assert not is_id(new_id(1) + "\n")


def test_ticket_comes_back_from_its_text_and_shows_no_secret_in_repr() -> None:
    ticket = Ticket.issue(new_id(1))
    assert Ticket.parse(str(ticket)) == ticket
    assert ticket.secret not in repr(ticket)
    assert ticket.secret_hash == hashlib.sha256(ticket.secret.encode()).digest()


def test_text_that_is_not_quite_a_ticket_is_none() -> None:
    text = str(Ticket.issue(new_id(1)))
    for wrong in ("", text[:-1], text + "A", text.replace(".", ":"), text + "\n", " " + text):
        assert Ticket.parse(wrong) is None
