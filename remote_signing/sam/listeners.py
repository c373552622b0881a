"""Where the SAP comes in: a Unix socket with the caller's user id, TLS with certificates.

Beside them, when configured, ``/healthz``, ``/startupz``, ``/readyz`` and ``/metrics`` for whoever
watches the process; it takes a request line and nothing else, and cannot reach a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import struct
from typing import TYPE_CHECKING

from remote_signing.sam.cluster import load_cluster
from remote_signing.sam.config import secret_file
from remote_signing.sam.revocation import IDS_FILE, read_published
from remote_signing.sap import MAX_LINE, b64, encode_line

if TYPE_CHECKING:
    from remote_signing.sam.config import SamConfig, TlsConfig
    from remote_signing.sam.supervisor import Supervisor
    from remote_signing.sap import NodeReport

log = logging.getLogger(__name__)

_STATUS = b'"verb":"status"'
_REQUEST_SECONDS = 5.0


class Listeners:
    """All listening sockets of one SAM host."""

    def __init__(self, config: SamConfig, supervisor: Supervisor) -> None:
        self._config = config
        self._supervisor = supervisor
        self._servers: list[asyncio.Server] = []
        self._health_server: asyncio.Server | None = None
        self._cluster = load_cluster(config.cluster_file)
        self._connections: set[asyncio.StreamWriter] = set()
        self._busy = 0
        self._quiet = asyncio.Event()
        self._draining = False

    async def open(self) -> None:
        """Start listening. The socket file belongs to us alone unless its folder says otherwise."""
        path = self._config.socket
        path.unlink(missing_ok=True)
        self._servers.append(
            await asyncio.start_unix_server(self._from_host, path=str(path), limit=MAX_LINE)
        )
        path.chmod(0o660)
        if self._config.tls is not None:
            tls = self._config.tls
            self._servers.append(
                await asyncio.start_server(
                    self._from_network, tls.host, tls.port, ssl=tls_context(tls), limit=MAX_LINE
                )
            )
        if self._config.health_port is not None:
            port = self._config.health_port
            host = self._config.health_host
            self._health_server = await asyncio.start_server(self._health, host, port)

    async def drain(self, seconds: float) -> None:
        """Stop listening, answer what was taken, then close every connection."""
        self._draining = True
        for server in self._servers:
            server.close()
        # /readyz says no as long as there is something to answer.
        with contextlib.suppress(TimeoutError):
            if self._busy:
                await asyncio.wait_for(self._quiet.wait(), seconds)
        for writer in list(self._connections):
            writer.close()
        if self._health_server is not None:
            self._health_server.close()
        self._config.socket.unlink(missing_ok=True)

    async def _from_host(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link: socket.socket = writer.get_extra_info("socket")
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack(
            "3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        )
        if uid in self._config.allowed_uids:
            await self._converse(reader, writer)
        else:
            log.warning("refused caller", extra={"uid": uid})
            writer.close()

    async def _from_network(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        names = certificate_names(writer.get_extra_info("peercert") or {})
        if self._config.tls is not None and names & self._config.tls.client_names:
            await self._converse(reader, writer)
        else:
            log.warning("refused caller", extra={"names": sorted(names)})
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            # A line over the limit raises ValueError: the connection is of no more use.
            with contextlib.suppress(ConnectionError, ValueError):
                while not self._draining and (line := await reader.readline()).endswith(b"\n"):
                    self._busy += 1
                    self._quiet.clear()
                    try:
                        writer.write(await self._answer(line))
                        await writer.drain()
                    finally:
                        self._busy -= 1
                        if not self._busy:
                            self._quiet.set()
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        if _STATUS in line[:64]:
            return encode_line({"id": json.loads(line)["id"], "ok": self._status()})
        return await self._supervisor.handle(line)

    def _status(self) -> dict[str, object]:
        number, digest = read_published(self._config.state_folder)
        return {
            "cluster_id": self._cluster.cluster_id,
            "nodes": self._supervisor.report(),
            "revocation_number": number,
            "revocation_digest": digest,
            "chain": [b64(certificate) for certificate in self._cluster.chain],
        }

    async def _health(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                line = await reader.readline()
                while (await reader.readline()).strip():
                    pass
            writer.write(self._health_answer(line))
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass
        finally:
            writer.close()

    def _health_answer(self, request_line: bytes) -> bytes:
        if request_line.startswith(b"GET /metrics "):
            return _http("200 OK", self._metrics(), "text/plain; version=0.0.4; charset=utf-8")
        nodes = self._supervisor.report()
        # It listens only when it has started: alive and started are one.
        if request_line.startswith((b"GET /healthz ", b"GET /startupz ")):
            status, body = "200 OK", {"status": "ok"}
        elif request_line.startswith(b"GET /readyz "):
            ready = any(node["healthy"] for node in nodes) and not self._draining
            status = "200 OK" if ready else "503 Service Unavailable"
            checks = {node["name"]: _told(node) for node in nodes}
            body = {"status": "ok" if ready else "unavailable"} | checks
        else:
            status, body = "404 Not Found", {"status": "unknown"}
        return _http(status, json.dumps(body).encode(), "application/json")

    def _metrics(self) -> bytes:
        number, _ = read_published(self._config.state_folder)
        ids = self._config.state_folder / IDS_FILE
        numbers = {
            "sam_requests_open": float(self._busy),
            "sam_revocation_number": float(number),
            # Hosts that know the same have lists of one length, whatever their numbers.
            "sam_revocation_list_bytes": float(ids.stat().st_size if ids.exists() else 0),
        }
        return self._supervisor.figures.text(
            self._supervisor.report(), self._supervisor.idle(), numbers
        )


def _http(status: str, content: bytes, media_type: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def _told(node: NodeReport) -> str:
    return "ok" if node["healthy"] else f"out: {node.get('last_fault') or 'not started yet'}"


def tls_context(config: TlsConfig) -> ssl.SSLContext:
    """TLS 1.3 only; a caller without a certificate of the configured CA does not get in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(config.certificate, secret_file(config.key))
    context.load_verify_locations(config.client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def certificate_names(peer: dict[str, object]) -> set[str]:
    """The DNS and URI names of a caller's certificate (``SSLSocket.getpeercert``)."""
    names = peer.get("subjectAltName", ())
    if not isinstance(names, tuple):
        return set()
    return {value for kind, value in names if kind in {"DNS", "URI"}}
