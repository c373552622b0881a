"""Documents beside hashes on both databases: from the portal's upload to the official's eyes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import func, insert, select

from consent_app.app import create_app as create_consent_app
from remote_signing.algorithms import DIGESTS
from remote_signing.errors import InvalidInput
from remote_signing.identifiers import new_id
from remote_signing.rssp import activation
from remote_signing.rssp.app import create_app
from remote_signing.rssp.attachments import register
from remote_signing.rssp.config_attachments import AttachmentsConfig
from remote_signing.rssp.documents.workshop import Arguments, Made, Workshop
from remote_signing.rssp.models import (
    attachment,
    attachment_use,
    audit_event,
    signature_activation,
)
from tests.support.asgi import call
from tests.support.attachments import PortalsOwn, pages, prepared_pdf
from tests.support.consent_visitor import Visitor, settings
from tests.support.csc import CscPortal, b64
from tests.support.documents import DocumentPortal, decision, document
from tests.support.examples import example
from tests.support.fake_sam import unseal
from tests.support.oauth import OAuthPortal
from tests.support.world import SHA256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.world import World

TEXT = "Quyết định bổ nhiệm".encode()
AUTHORIZE = "credentials/authorize"
UPLOAD = "/attachments/v1/documents"


class _Here(Workshop):
    """Works in this process."""

    def do(
        self,
        stage: Callable[Arguments, Made],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Made:
        return stage(*arguments, **named)


@pytest.fixture
def portal(world: World, tmp_path: Path) -> Iterator[DocumentPortal]:
    limits = AttachmentsConfig(folder=tmp_path / "kept", largest=200_000)
    config = replace(world.services.config, attachments=limits)
    world.services = replace(world.services, config=config)
    app = create_app(config, world.services)
    app.state.desk._workshop = _Here(config.documents)  # noqa: SLF001 - starting processes takes long
    found = DocumentPortal(world, app, CscPortal(world, app))
    yield found
    found.close()


def limited(portal: DocumentPortal, **changes: Any) -> None:
    services = portal.world.services
    limits = replace(register.settings(services), **changes)
    services = replace(services, config=replace(services.config, attachments=limits))
    portal.world.services = portal.app.state.services = services


def send(
    portal: DocumentPortal, content: bytes, media_type: str = "text/plain", token: str = ""
) -> httpx.Response:
    token = token or portal.portal.user_token()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": media_type}
    return call(portal.app, "POST", UPLOAD, content=content, headers=headers)


def kept(portal: DocumentPortal, content: bytes = TEXT, media_type: str = "text/plain") -> str:
    answer = send(portal, content, media_type)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["attachmentID"])


def ask(
    portal: DocumentPortal, hashes: list[str], *attachments: dict[str, Any], token: str = ""
) -> httpx.Response:
    body = {
        "credentialID": portal.world.credential_id,
        "numSignatures": len(hashes),
        "hashes": hashes,
        "hashAlgorithmOID": SHA256,
        "requestDetails": {"attachments": list(attachments)},
    }
    return portal.post(AUTHORIZE, body, token)


def asked(portal: DocumentPortal, content: bytes = TEXT, name: str = "") -> str:
    """A request with a document; its id."""
    beside = {"hashIndex": 0, "attachmentID": name or kept(portal, content)}
    answer = ask(portal, [b64(hashlib.sha256(content).digest())], beside)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["activationID"])


def page(portal: DocumentPortal, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {portal.world.session}"}
    return call(portal.app, "GET", f"/consent/v1/{path}", headers=headers)


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error_description"])


def rows(portal: DocumentPortal) -> tuple[int, int, int]:
    database = portal.world.database
    counts = [
        database.all(select(func.count()).select_from(each))[0][0]
        for each in (attachment, attachment_use)
    ]
    folder = register.settings(portal.world.services).folder
    return (*counts, len(list(folder.iterdir())) if folder.exists() else 0)


def test_an_official_gets_exactly_the_bytes_whose_hash_he_is_asked_to_sign(
    portal: DocumentPortal,
) -> None:
    name = asked(portal)
    shown = page(portal, f"requests/{name}").json()["documents"][0]["attached"]
    assert shown == {
        "sha256": hashlib.sha256(TEXT).hexdigest(),
        "size": len(TEXT),
        "media_type": "text/plain",
        "basis": "file",
        "pages": None,
        "remarks": [],
    }
    answer = example("a text", page(portal, f"requests/{name}/documents/0"))
    assert answer.content == TEXT
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert page(portal, f"requests/{name}/documents/1").status_code == 404


def test_what_is_bound_is_in_the_challenge_on_record_and_in_the_receipt(
    portal: DocumentPortal,
) -> None:
    name, world = asked(portal), portal.world
    line = f"\tdocument 0: file sha256 {hashlib.sha256(TEXT).hexdigest()}"
    of_it = signature_activation.c.id == name
    (row,) = world.database.all(select(signature_activation).where(of_it))
    display = json.loads(row.request)["display_text"]
    assert line in display.splitlines()
    assert unseal(row.challenge)["display"] == hashlib.sha256(display.encode()).hexdigest()
    query = select(audit_event.c.detail).where(audit_event.c.activation_id == name)
    recorded = json.loads(world.database.all(query)[0].detail)
    assert recorded["bound"] == [line]
    portal.now()
    world.approve(name)
    receipt = page(portal, f"history/{name}").json()["documents"][0]["attached"]
    assert receipt["sha256"] == hashlib.sha256(TEXT).hexdigest()


def test_a_prepared_pdf_with_its_signed_attributes_is_bound_and_drawn(
    portal: DocumentPortal, tmp_path: Path
) -> None:
    with_processes = Workshop(portal.world.services.config.documents)
    portal.app.state.desk._workshop = with_processes  # noqa: SLF001 - as they are outside of tests
    own = prepared_pdf(tmp_path, pages())
    beside = attached(portal, own)
    answer = example("with a document", ask(portal, [b64(own.dtbs_r)], beside))
    assert answer.status_code == 202, answer.text
    name = answer.json()["activationID"]
    found = example("with a document", page(portal, f"requests/{name}"))
    shown = found.json()["documents"][0]["attached"]
    assert (shown["basis"], shown["pages"]) == ("range", 1)
    drawn = example("drawn", page(portal, f"requests/{name}/documents/0/pages/1"))
    assert drawn.content.startswith(b"\x89PNG")
    assert page(portal, f"requests/{name}/documents/0/pages/2").status_code == 400


def attached(portal: DocumentPortal, own: PortalsOwn) -> dict[str, Any]:
    return {
        "hashIndex": 0,
        "attachmentID": kept(portal, own.content, "application/pdf"),
        "signedAttributes": b64(own.attributes),
    }


@pytest.mark.parametrize("entry", [decision(), document()], ids=["pdf", "text"])
def test_what_prepare_doc_made_is_bound_by_the_code_that_signs(
    portal: DocumentPortal, entry: dict[str, Any]
) -> None:
    told = portal.post("signatures/prepareDoc", portal.order(entry, attach=True)).json()
    beside = {"hashIndex": 0, "attachmentID": told["attachmentIDs"][0]}
    answer = ask(portal, told["hashes"], beside)
    assert answer.status_code == 202, answer.text
    name = answer.json()["activationID"]
    shown = page(portal, f"requests/{name}").json()["documents"][0]["attached"]
    assert shown["basis"] == "prepared"
    content = page(portal, f"requests/{name}/documents/0").content
    assert content.startswith(base64.b64decode(entry["document"])[:1000])
    other = ask(portal, [b64(b"o" * 32)], beside)
    assert "not what prepareDoc made" in said(other)


def test_a_digest_alone_has_nothing_to_show(portal: DocumentPortal) -> None:
    entry = document() | {"hashes": [b64(b"h" * 32)], "hashAlgorithmOID": SHA256}
    del entry["document"]
    answer = portal.post("signatures/prepareDoc", portal.order(entry, attach=True))
    assert "only a single document" in said(answer)


def test_a_document_comes_with_a_pushed_request_too(portal: DocumentPortal) -> None:
    at_oauth = OAuthPortal.at(portal.world)
    at_oauth.app = portal.app
    token = portal.portal.user_token(client_id=at_oauth.client_id)
    name = send(portal, TEXT, token=token).json()["attachmentID"]
    entry = {"hash": b64(hashlib.sha256(TEXT).digest()), "attachmentID": name}

    def push(**changes: Any) -> httpx.Response:
        details = at_oauth.details(documentDigests=[entry | changes])
        return at_oauth.push(at_oauth.credential_request(authorization_details=details))

    assert push().status_code == 201
    (waits,) = portal.world.database.all(select(attachment_use.c.activation_id))
    assert page(portal, f"requests/{waits[0]}/documents/0").content == TEXT
    assert "does not follow" in said(push(hash=b64(b"o" * 32)))
    assert "attachmentID" in said(push(attachmentID="01mcc5rm00mratbh8wk05wn2gg"))
    for wrong in ({"attachmentID": 1}, {"attachmentID": ".."}, {"signedAttributes": "!"}):
        assert "attachmentID" in said(push(**wrong))


def test_the_page_hands_on_what_the_service_has(portal: DocumentPortal) -> None:
    """The consent page on the real consent API."""
    name = asked(portal)
    portal.world.match(name)
    visitor = Visitor()
    visitor.app = create_consent_app(settings(), httpx.ASGITransport(portal.app))
    visitor.cookies["__Host-consent-session"] = str(portal.world.session)
    place = f"/requests/{name}/documents/0"
    assert f'href="{place}"' in visitor.get(f"/requests/{name}").text
    found = visitor.get(f"{place}/content")
    assert (found.content, found.headers["content-length"]) == (TEXT, str(len(TEXT)))
    assert TEXT.decode() in visitor.get(f"{place}?view=plain").text
    assert visitor.get(f"{place}/pages/1").status_code == 404  # a text has no pages
    assert visitor.get(f"/requests/{name}/documents/1").status_code == 404
    activation.deny(portal.world.services, portal.world.session, name, None)
    assert visitor.get(f"{place}/content").status_code == 404


# ---------------------------------------------------------------------------------------- attacks


def test_a_portal_that_shows_one_document_and_has_another_signed_is_refused(
    portal: DocumentPortal, tmp_path: Path
) -> None:
    other = b64(hashlib.sha256(b"other").digest())
    answer = ask(portal, [other], {"hashIndex": 0, "attachmentID": kept(portal)})
    assert said(answer) == (
        "Invalid array parameter requestDetails.attachments (hash 0: the hash is not the file's)"
    )
    own = prepared_pdf(tmp_path, pages())
    changed = replace(own, content=own.content.replace(b"(Trang mot)", b"(Trang hai)"))
    answer = ask(portal, [b64(own.dtbs_r)], attached(portal, changed))
    assert "messageDigest is not the file's" in said(answer)
    pending = activation.pending(portal.world.services, portal.world.subscriber_id)
    assert pending.total == 0  # nobody was asked


def test_a_label_cannot_pass_for_a_bound_document(portal: DocumentPortal) -> None:
    world = portal.world
    line = f"\tdocument 0: file sha256 {hashlib.sha256(TEXT).hexdigest()}"
    with pytest.raises(InvalidInput):
        world.opened(line)
    with pytest.raises(InvalidInput):
        world.opened("a", description=f"a\n{line}")


def test_an_attachment_of_another_client_is_refused(portal: DocumentPortal) -> None:
    beside = {"hashIndex": 0, "attachmentID": kept(portal)}
    portal.portal = CscPortal.at(portal.world)  # registers another client
    token = portal.portal.user_token(client_id="direct")
    answer = ask(portal, [b64(hashlib.sha256(TEXT).digest())], beside, token=token)
    assert "there is no such attachment" in said(answer)


def test_a_document_is_shown_to_its_signer_alone_and_only_while_it_waits(
    portal: DocumentPortal,
) -> None:
    name, world = asked(portal), portal.world
    path = f"requests/{name}/documents/0"
    session, owner = world.session, world.subscriber_id
    world.new_signer("somebody.else")
    for address in (path, f"{path}/pages/1"):
        assert page(portal, address).status_code == 404
    world.session, world.subscriber_id = session, owner
    assert page(portal, path).status_code == 200
    activation.deny(world.services, world.session, name, None)
    assert page(portal, path).json()["code"] == "document_unknown"
    assert page(portal, f"{path}/pages/1").status_code == 404


def test_a_document_changed_in_the_folder_is_shown_to_nobody(portal: DocumentPortal) -> None:
    name = asked(portal)
    (path,) = register.settings(portal.world.services).folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert page(portal, f"requests/{name}/documents/0").status_code == 404
    path.unlink()
    assert page(portal, f"requests/{name}/documents/0").status_code == 404


def test_a_wrong_member_of_an_attachment_is_named(portal: DocumentPortal) -> None:
    value = b64(hashlib.sha256(TEXT).digest())
    good = {"hashIndex": 0, "attachmentID": kept(portal)}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"hashIndex": 1}, "one for each"),
        ({"hashIndex": -1}, "hashIndex"),
        ({"hashIndex": True}, "hashIndex"),
        ({"attachmentID": "01mcc5rm00mratbh8wk05wn2gg"}, "no such attachment"),
        ({"attachmentID": "../../etc/passwd"}, "attachmentID"),
        ({"signedAttributes": "!"}, "signedAttributes"),
        ({"signedAttributes": b64(b"0" * 65_537)}, "signedAttributes"),
        ({"more": 1}, "requestDetails.attachments"),
    ]
    for beside, told in wrong:
        assert told in said(ask(portal, [value], good | beside))
    assert "one for each" in said(ask(portal, [value], good, good))
    shapes: list[Any] = [{}, [1], [{"hashIndex": 0}] * 101]
    for given in shapes:
        body = {
            "credentialID": portal.world.credential_id,
            "numSignatures": 1,
            "hashes": [value],
            "hashAlgorithmOID": SHA256,
            "requestDetails": {"attachments": given},
        }
        assert "requestDetails.attachments" in said(portal.post(AUTHORIZE, body))


# ---------------------------------------------------------------------------------------- intake


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "PDF", "TEXT"])
def test_each_kind_of_document_is_kept(portal: DocumentPortal, kind: str) -> None:
    target = io.BytesIO()
    if kind in {"PNG", "JPEG"}:
        Image.new("RGB", (4, 4), "white").save(target, kind)
    content = {"PDF": pages(), "TEXT": TEXT}.get(kind, target.getvalue())
    media_type = {"PDF": "application/pdf", "TEXT": "text/plain"}.get(kind, f"image/{kind.lower()}")
    assert example(f"kept, {kind}", send(portal, content, media_type)).status_code == 201


def test_what_cannot_be_shown_is_refused_with_its_reason(portal: DocumentPortal) -> None:
    active = pages(root=b"/OpenAction<</S/JavaScript/JS(x)>>")
    refused = example("active content", send(portal, active, "application/pdf"))
    assert "active content" in said(refused)
    assert "not declared as one of" in said(send(portal, b"<p>", "text/html"))
    assert "media type" in said(send(portal, TEXT, "application/pdf"))
    assert rows(portal) == (0, 0, 0)


def test_too_much_is_refused_before_it_is_kept(portal: DocumentPortal) -> None:
    assert "longer than 200000 bytes" in said(send(portal, b"a" * 200_001))
    limited(portal, kept=0)
    assert send(portal, TEXT).status_code == 503
    assert rows(portal) == (0, 0, 0)


def test_a_stranger_and_a_credential_token_upload_nothing(portal: DocumentPortal) -> None:
    assert send(portal, TEXT, token="0" * 26 + "." + "x" * 43).status_code == 401
    portal.now()
    assert send(portal, TEXT, token=portal.portal.credential_token()).status_code == 400
    assert rows(portal) == (0, 0, 0)


def test_without_a_folder_nothing_is_offered(portal: DocumentPortal) -> None:
    name = kept(portal)
    services = portal.world.services
    services = replace(services, config=replace(services.config, attachments=None))
    portal.world.services = portal.app.state.services = services
    assert send(portal, TEXT).status_code == 501
    beside = {"hashIndex": 0, "attachmentID": name}
    assert "no such" in said(ask(portal, [b64(hashlib.sha256(TEXT).digest())], beside))
    assert register.prune(services) == 0


# ------------------------------------------------------------------------------------- its end


def test_a_file_goes_when_its_last_request_has_ended_and_a_little_later(
    portal: DocumentPortal,
) -> None:
    world = portal.world
    first = asked(portal, name=(name := kept(portal)))
    second = asked(portal, name=name)
    for each in (first, second):
        assert rows(portal)[0] == 1
        activation.deny(world.services, world.session, each, None)
        register.prune(world.services)
        assert rows(portal)[0] == 1  # it lingers
        world.clock.advance(601)
        world.session = world.new_session()
        if each == first:
            register.prune(world.services)
    assert register.prune(world.services) == 1
    assert rows(portal) == (0, 0, 0)


def test_a_file_that_no_request_names_goes_after_an_hour(portal: DocumentPortal) -> None:
    name = kept(portal)
    portal.world.clock.advance(3601)
    beside = {"hashIndex": 0, "attachmentID": name}
    assert "no such" in said(ask(portal, [b64(hashlib.sha256(TEXT).digest())], beside))
    assert register.prune(portal.world.services) == 1
    assert rows(portal) == (0, 0, 0)


def test_files_of_processes_that_died_are_removed(portal: DocumentPortal) -> None:
    kept(portal)
    folder = register.settings(portal.world.services).folder
    left = folder / "01mcc5rm00mratbh8wk05wn2gg"
    for path in (left, *folder.iterdir()):
        path.touch()
        os.utime(path, (0, 0))
    assert register.remove_leftovers(portal.world.services) == 1
    assert rows(portal) == (1, 0, 1)
    assert not left.exists()


def test_leftover_among_many_files_of_rows_is_found(portal: DocumentPortal) -> None:
    services = portal.world.services
    kept(portal)
    folder = register.settings(services).folder
    with services.database.transaction() as connection:
        row = connection.execute(select(attachment)).one()._asdict()
        names = [new_id(number) for number in range(250)]
        connection.execute(insert(attachment), [row | {"id": name} for name in names])
    left = folder / new_id(1000)
    for path in (*(folder / name for name in names), left):
        path.touch()
        os.utime(path, (0, 0))
    assert register.remove_leftovers(services) == 1
    assert not left.exists()
    assert all((folder / name).exists() for name in names)


def test_file_that_another_process_removes_meanwhile_stops_nothing(
    portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = portal.world.services
    folder = register.settings(services).folder
    folder.mkdir()
    left = [folder / new_id(number) for number in range(2)]
    for path in left:
        path.touch()
        os.utime(path, (0, 0))
    stat = Path.stat

    def gone(path: Path, **options: Any) -> os.stat_result:
        if path == left[0]:
            raise FileNotFoundError
        return stat(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", gone)
        assert register.remove_leftovers(services) == 1
    assert [path.exists() for path in left] == [True, False]


def test_installation_without_attachments_has_no_leftovers(portal: DocumentPortal) -> None:
    services = portal.world.services
    without = replace(services, config=replace(services.config, attachments=None))
    assert register.remove_leftovers(without) == 0


def test_one_client_cannot_fill_the_place_with_what_nobody_is_asked_about(
    portal: DocumentPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "_MOST_UNUSED", 1)
    name = kept(portal)
    assert send(portal, TEXT).status_code == 503
    asked(portal, name=name)
    assert send(portal, TEXT).status_code == 201


def test_another_digest_than_sha256_is_bound_too(portal: DocumentPortal) -> None:
    value = b64(hashlib.sha512(TEXT).digest())
    body = {
        "credentialID": portal.world.credential_id,
        "numSignatures": 1,
        "hashes": [value],
        "hashAlgorithmOID": DIGESTS["sha512"].oid,
        "requestDetails": {"attachments": [{"hashIndex": 0, "attachmentID": kept(portal)}]},
    }
    assert portal.post(AUTHORIZE, body).status_code == 202


def test_a_request_without_a_document_says_that_only_the_hash_is_known(
    portal: DocumentPortal,
) -> None:
    name = portal.world.opened("a")
    found = page(portal, f"requests/{name}").json()
    assert found["documents"][0]["attached"] is None
    assert page(portal, f"requests/{name}/documents/0").status_code == 404
