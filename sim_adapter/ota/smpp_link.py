"""One SMPP connection: requests out with a window, requests in to a handler, a pulse in between.

Both sides use it. What arrives is read strictly; a unit that cannot be read ends the connection,
because its length can no longer be trusted.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from sim_adapter.ota.errors import LinkFault, Malformed
from sim_adapter.ota.smpp import RESPONSE, Command, Pdu, Status, checked_length

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)
_LAST_SEQUENCE = 0x7FFFFFFF
_WINDOW = 32  # requests without an answer; also of the peer, as it waits in the same way


class SmppLink:
    """Requests of the peer go to ``handler``, which gives the status and body of the answer."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: Callable[[Pdu], Awaitable[tuple[Status, bytes]]],
        *,
        answer_within: float = 10.0,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._answer_within = answer_within
        self._last = 0
        self._window = asyncio.Semaphore(_WINDOW)
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_closed = False

    async def request(self, command: Command, body: bytes = b"") -> Pdu:
        """Send and wait for the answer; ``LinkFault`` for a refusal, silence, or a lost link."""
        async with self._window:
            if self.is_closed:
                raise LinkFault("the link is closed")
            sequence = self._last = self._last % _LAST_SEQUENCE + 1
            answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
            self._waiting[sequence] = answer
            try:
                self._send(Pdu(command, sequence, body=body))
                async with asyncio.timeout(self._answer_within):
                    found = await answer
            except TimeoutError:
                raise LinkFault(f"no answer to {command.name}") from None
            finally:
                self._waiting.pop(sequence, None)
        if found.status or found.command != command | RESPONSE:
            raise LinkFault(f"{command.name} was refused with {found.status:#x}", found.status)
        return found

    async def run(self) -> None:
        """Read until the peer goes or talks nonsense; then nothing waits any longer."""
        try:
            while True:
                self._take(await self._read())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Malformed as error:
            _log.warning("SMPP peer sent what is no unit: %s", error)
        finally:
            self.close()

    async def pulse(self, every: float) -> None:
        """Ask for a sign of life; close the link when there is none."""
        with suppress(LinkFault):
            while not self.is_closed:
                await asyncio.sleep(every)
                await self.request(Command.ENQUIRE_LINK)
        self.close()

    def close(self) -> None:
        """Close; who waits for an answer gets ``LinkFault``."""
        self.is_closed = True
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LinkFault("the link was lost"))
        for task in self._tasks:
            task.cancel()

    async def _read(self) -> Pdu:
        head = await self._reader.readexactly(4)
        return Pdu.parse(head + await self._reader.readexactly(checked_length(head) - 4))

    def _take(self, pdu: Pdu) -> None:
        if pdu.is_answer:
            answer = self._waiting.get(pdu.sequence)
            if answer is not None and not answer.done():
                answer.set_result(pdu)
            return
        task = asyncio.get_running_loop().create_task(self._handle(pdu))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, pdu: Pdu) -> None:
        if pdu.command == Command.ENQUIRE_LINK:
            self._send(Pdu(pdu.command | RESPONSE, pdu.sequence))
            return
        if pdu.command not in set(Command):
            self._send(Pdu(Command.GENERIC_NACK, pdu.sequence, Status.INVALID_COMMAND))
            return
        try:
            status, body = await self._handler(pdu)
        except Malformed as error:
            _log.warning("SMPP request cannot be read: %s", error)
            status, body = Status.INVALID_LENGTH, b""
        self._send(Pdu(pdu.command | RESPONSE, pdu.sequence, status, body))
        if pdu.command == Command.UNBIND:
            self.close()

    def _send(self, pdu: Pdu) -> None:
        if not self.is_closed:
            self._writer.write(pdu.encode())
