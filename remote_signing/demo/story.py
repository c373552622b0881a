"""The order of it all: a stage, a question, a consent, a lost node, a signature, two verdicts."""

from __future__ import annotations

import asyncio
import importlib.resources
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remote_signing.demo import document, sims, stage, tour, verdict
from remote_signing.demo.official import Official
from remote_signing.demo.portal import Portal
from remote_signing.demo.stage import Stage
from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.client import Pushed
    from remote_signing.client.pdf import PreparedPdf
    from remote_signing.demo.official import Page
    from remote_signing.demo.outage import Node
    from remote_signing.demo.stage import Signer
    from remote_signing.demo.state import State
    from remote_signing.demo.telling import Teller

BUNDLED = "quyet-dinh.pdf"
_SECONDS_OF_SIM, _PATIENCE = 90.0, 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    pdf: Path | None
    keep: bool
    database_url: str | None
    with_sim: bool = False


class Story:
    """One run. Every step is a method, told as it happens."""

    def __init__(self, state: State, wanted: Wanted, teller: Teller) -> None:
        self._state = state
        self._wanted = wanted
        self._teller = teller
        self._stage = Stage(state, wanted.database_url, with_sim=wanted.with_sim)

    def run(self) -> Path:
        """Where the signed and verified PDF lies; ``DemoFailed``."""
        pdf = self._read_pdf()
        with ExitStack() as stack:
            nodes = self._set_up_keys()
            if self._stage.sims is not None:
                stack.callback(self._stage.sims.stop)
                self._start_phones(self._stage.sims)
            stack.callback(self._stop)
            self._start()
            portal = stack.enter_context(Portal(self._stage.addresses))
            agency, signer = self._enrol(portal)
            prepared, label = self._prepare(portal, signer, pdf)
            asked = self._ask(portal, signer, prepared, label)
            if self._wanted.with_sim:
                self._consent_by_sim(signer, asked, prepared, label)
            else:
                self._consent(signer, asked, prepared, label)
            self._lose(nodes[0])
            signature = self._sign(portal, asked, prepared, nodes[0])
            signed = self._finish(prepared, signature)
            self._check_records(signer, nodes)
            if self._wanted.with_sim:
                self._check_evidence(signer, prepared)
            if self._wanted.keep:
                self._keep(agency, signer, nodes[0], signed)
        return signed

    def _read_pdf(self) -> bytes:
        path = self._wanted.pdf
        if path is None:
            return (
                importlib.resources.files("remote_signing.demo")
                .joinpath("decision.pdf")
                .read_bytes()
            )
        try:
            return document.check(path.read_bytes())
        except OSError as error:
            raise DemoFailed(f"cannot read {path}: {error.strerror}") from error

    def _set_up_keys(self) -> list[Node]:
        with self._teller.step("Two HSM nodes (SoftHSM), each with a PIN in a file of its own"):
            nodes = self._stage.make_nodes()
        with self._teller.step("Key ceremony: remote-signing hsm init"):
            found = self._stage.hold_ceremony()
            self._teller.say(f"cluster {found['cluster_id']}, {len(found['steps'])} steps, signed")
            self._teller.say("any 2 of 3 custodians can bring the keys into a further node")
        return nodes

    def _start(self) -> None:
        with self._teller.step("Start the programs: remote-signing serve"):
            self._stage.start()
            checks = self._stage.wait_until_ready()
            self._teller.say("ready: " + ", ".join(f"{k} {v}" for k, v in checks.items()))

    def _enrol(self, portal: Portal) -> tuple[str, Signer]:
        with self._teller.step(f"Enrol {stage.OFFICIAL} ({stage.POSITION}, {stage.AGENCY})"):
            agency, signer = self._stage.enrol()
            self._teller.say("key made in the HSM, certified by the embedded CA")
            self._stage.register_portal(portal.client_id, portal.jwks, agency)
            self._teller.say(f"portal «{stage.PORTAL}»: private_key_jwt, DPoP")
        if self._wanted.with_sim:
            with self._teller.step(f"Enrol the SIM +{sims.MSISDN}: remote-signing sim enrol"):
                factor = self._stage.enrol_sim(signer)
                self._teller.say("key made in the SIM, proof of possession, certificate, pinned")
                self._teller.say(f"factor {factor}")
        return agency, signer

    def _prepare(self, portal: Portal, signer: Signer, pdf: bytes) -> tuple[PreparedPdf, str]:
        with self._teller.step("Portal: read the certificate, prepare the PDF (PAdES B-B)"):
            credential = portal.credential(signer.subscriber_id)
            prepared = asyncio.run(document.prepare(pdf, credential, "Ký ban hành"))
            label = self._wanted.pdf.name if self._wanted.pdf else BUNDLED
            self._teller.say(f"{label}: {len(pdf)} bytes; to be signed: {prepared.dtbs_r.hex()}")
        return prepared, label

    def _ask(self, portal: Portal, signer: Signer, prepared: PreparedPdf, label: str) -> Pushed:
        with self._teller.step("Portal: ask for the signature (PAR with authorization_details)"):
            asked = portal.ask(
                signer.credential_id, prepared.dtbs_r, label, f"Ký ban hành văn bản {label}"
            )
            if not asked.verification_code:
                raise DemoFailed("the service told no verification code")
            self._teller.say(f"verification code at the portal: {asked.verification_code}")
        return asked

    def _consent(self, signer: Signer, asked: Pushed, prepared: PreparedPdf, label: str) -> None:
        official = Official(signer, self._stage.addresses.consent)
        with self._teller.step("Official: sign in, read, compare the code, approve (PIN + TOTP)"):
            page = official.open(asked.browser_url)
            self._check_page(page, asked, prepared, label)
            after = official.approve(page)
            if not after.url.startswith(self._stage.addresses.redirect_uri):
                raise DemoFailed(f"the consent page did not go back: {after.text[:400]}")
            self._teller.say("approved; the browser is back at the portal")
        official.close()

    def _start_phones(self, place: sims.SimPlace) -> None:
        with self._teller.step(
            "Virtual phones behind SMPP, and an operator (test MSSP) before them"
        ):
            place.start()
            self._teller.say("TS 102 204 → secured packets → SMPP → SMS → the card's own APDUs")

    def _consent_by_sim(
        self, signer: Signer, asked: Pushed, prepared: PreparedPdf, label: str
    ) -> None:
        official = Official(signer, self._stage.addresses.consent)
        with self._teller.step("Official: sign in, read, ask the SIM, enter the PIN on the phone"):
            page = official.open(asked.browser_url)
            self._check_page(page, asked, prepared, label)
            waiting = official.ask_sim(page)
            if asked.verification_code not in waiting.text.replace(" ", ""):
                raise DemoFailed(f"the waiting page shows another code: {waiting.text[:400]}")
            self._teller.say(f"page and phone show the code {asked.verification_code}")
            after = official.wait_for_sim(waiting, _SECONDS_OF_SIM)
            if not after.url.startswith(self._stage.addresses.redirect_uri):
                raise DemoFailed(f"the consent page did not go back: {after.text[:400]}")
            self._teller.say("the SIM has signed; the browser is back at the portal")
        official.close()

    def _check_evidence(self, signer: Signer, prepared: PreparedPdf) -> None:
        """The SIM's signature over this very hash, judged with ``cryptography`` alone."""
        with self._teller.step("Verify the SIM's consent: docs/verify-sim-consent/verify.py"):
            events = self._stage.signing_events(signer.credential_id)
            evidence = self._stage.export_evidence(events[-1]["activation_id"])
            self._teller.say(str(evidence))
            issuer = stage.issuing_certificate(self._state.ceremony)
            for line in verdict.of_sim(evidence, prepared.dtbs_r, issuer):
                self._teller.say(line)

    def _check_page(self, page: Page, asked: Pushed, prepared: PreparedPdf, label: str) -> None:
        """A careful official refuses when one of these is not on the page."""
        packed = page.text.replace(" ", "")
        shown = {
            "portal": stage.PORTAL in page.text,
            "document": label in page.text,
            "hash": prepared.dtbs_r.hex()[:8] in packed,
            "holder": stage.OFFICIAL in page.text,
            "verification code": asked.verification_code in packed,
        }
        missing = [name for name, is_there in shown.items() if not is_there]
        if missing:
            raise DemoFailed(f"the page does not show {', '.join(missing)}: {page.text}")
        self._teller.say(f"the page shows {', '.join(shown)} as the portal told")

    def _lose(self, node: Node) -> None:
        with self._teller.step(f"HSM node {node.name} is lost, after consent and before signing"):
            killed = node.lose()
            self._teller.say(
                f"SIGKILL to its {len(killed)} workers {killed}; its token's files are gone"
            )

    def _sign(
        self,
        portal: Portal,
        asked: Pushed,
        prepared: PreparedPdf,
        lost: Node,
    ) -> bytes:
        with self._teller.step("Portal: code → token bound to its key → signHash"):
            token = portal.credential_token(asked)
            if lost.tokens.exists():
                raise DemoFailed(f"{lost.name} is back already")
            signature = portal.sign_hash(token, prepared.order)
            self._teller.say(f"signature of {len(signature)} bytes")
            again = portal.sign_hash(token, prepared.order)
            if again != signature:
                raise DemoFailed("a repeat of the same request gave another signature")
            self._teller.say("the same request again gives the same bytes: the key is used once")
        return signature

    def _finish(self, prepared: PreparedPdf, signature: bytes) -> Path:
        root = stage.root_certificate(self._state.ceremony)
        with self._teller.step("Portal: put the signature into the PDF"):
            content = asyncio.run(prepared.embed(signature))
            path = self._state.signed / "signed.pdf"
            path.write_bytes(content)
            self._teller.say(str(path))
        with self._teller.step("Verify with pyHanko"):
            self._teller.say(asyncio.run(verdict.by_pyhanko(content, root)).words)
        with self._teller.step("Verify with openssl"):
            self._teller.say(verdict.by_openssl(content, root, self._state.signed).words)
        return path

    def _check_records(self, signer: Signer, nodes: list[Node]) -> None:
        """The audit table tells which node signed, and that it was not the lost one."""
        lost, other = nodes
        with self._teller.step("What the records say: remote-signing audit show"):
            events = self._stage.signing_events(signer.credential_id)
            for event in events:
                detail = event["detail"]
                by = f" on {detail['node']}" if "node" in detail else ""
                self._teller.say(f"{event['at']}  {event['kind']} → {event['state']}{by}")
            signed_on = [event["detail"]["node"] for event in events if "node" in event["detail"]]
            if signed_on != [other.name]:
                raise DemoFailed(f"signed on {signed_on}, expected once on {other.name}")
            self._check_lost(lost)
            self._teller.say(f"{lost.name} was lost; {other.name} signed, once")

    def _check_lost(self, lost: Node) -> None:
        """What ``/readyz`` found counts for a second, and all of this may take less."""
        end = time.monotonic() + _PATIENCE
        while (checks := self._stage.checks()).get(f"hsm:{lost.name}") == "ok":
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        self._teller.say("/readyz: " + ", ".join(f"{k} {v}" for k, v in checks.items()))
        if checks.get(f"hsm:{lost.name}") == "ok" or lost.tokens.exists():
            raise DemoFailed(f"{lost.name} was not lost")

    def _keep(self, agency: str, signer: Signer, lost: Node, signed: Path) -> None:
        """Leave everything running, with all nodes, until Ctrl-C."""
        lost.bring_back()
        into_shell = tour.prepare(self._stage, agency, signer)
        addresses, teller = self._stage.addresses, self._teller
        teller.line(f"\nsigned PDF       {signed}")
        teller.line(f"CSC API          {addresses.rssp}/csc/v2/info")
        teller.line(f"OAuth metadata   {addresses.rssp}/.well-known/oauth-authorization-server")
        teller.line(f"consent page     {addresses.consent}")
        teller.line(f"user name        {signer.username}")
        teller.line(f"password         {signer.password}")
        teller.line(f"signing PIN      {signer.pin}")
        teller.line(f"TOTP             secret {signer.totp_secret} (an authenticator app takes it)")
        if self._wanted.with_sim:
            teller.line(f"SIM              +{sims.MSISDN}, whose holder approves what it shows")
        teller.line(f"configuration    remote-signing --config {self._state.config} --help")
        teller.line(f"tour by hand     {into_shell}")
        teller.line("\nCtrl-C ends it.")
        self._stage.wait_for_end()

    def _stop(self) -> None:
        with self._teller.step("Stop the programs (SIGTERM, each drains)"):
            self._stage.stop()


__all__: list[Any] = ["Story", "Wanted"]
