"""The part of the rssp's consent API that is about documents: bytes, not JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from consent_app.rssp import ConsentApi


class DocumentsApi:
    """Errors as of :class:`consent_app.rssp.ConsentApi`; ``document_unknown`` when it is over."""

    def __init__(self, rssp: ConsentApi) -> None:
        self._rssp = rssp

    async def content(self, session: str, name: str, position: int) -> httpx.Response:
        """The document beside a hash. Its body is still to be read, and to be closed."""
        return await self._rssp.open(f"requests/{name}/documents/{position}", session)

    async def picture(self, session: str, name: str, position: int, page: int) -> httpx.Response:
        """A page (from 1) as PNG, likewise."""
        path = f"requests/{name}/documents/{position}/pages/{page}"
        return await self._rssp.open(path, session)
