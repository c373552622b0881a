"""What a wire must offer so that messages can be read from it and written to it.

SOAP and JSON spell one tree in two ways: an attribute of XML is a string member of JSON, an
``mssURIType`` is a plain string there, repeated elements are a list. The methods below name what is
meant; :mod:`sim_adapter.mss.read` and :mod:`sim_adapter.mss.write` know the messages and no wire.

A name without a prefix is of TS 102 204 itself; ``fi:``, ``mcs:``, ``ds:``, ``sim:`` are the
extensions' (see ``NAMESPACES``). JSON has no prefixes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sim_adapter.mss.model import FICOM, MSS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim_adapter.mss.model import Data

NAMESPACES = {
    "mss": MSS,
    "fi": FICOM,
    "mcs": "http://www.methics.fi/TS102204/ext/v1.0.0",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    # Ours: what no published schema has a place for (key generation on a SIM, network of a SIM).
    "sim": "urn:remote-signing:sim-registration:1.0",
}


class Source(Protocol):
    """One structure of a message that came in. Every reading error is ``InvalidInput``.

    What was read is ticked off, so that :meth:`done` can refuse what nobody asked for.
    """

    def attribute(self, name: str) -> str | None:
        """The attribute, None where it is absent."""
        ...

    def flag(self, name: str) -> bool | None:
        """The attribute as a truth value."""
        ...

    def text(self, name: str) -> str | None:
        """The text of the one child ``name``, without surrounding white space."""
        ...

    def texts(self, name: str) -> list[str]:
        """The texts of the children ``name``."""
        ...

    def wrapped(self, name: str) -> str | None:
        """The text of a child that JSON wraps as ``{"Value": …}``."""
        ...

    def child(self, name: str) -> Source | None:
        """The one child ``name``; two are refused."""
        ...

    def children(self, name: str) -> Sequence[Source]:
        """The children ``name``."""
        ...

    def services(self) -> Sequence[Source]:
        """The additional services of a request."""
        ...

    def uris(self, name: str) -> list[str]:
        """The URIs of the children ``name`` (mssURIType)."""
        ...

    def data(self, name: str) -> Data | None:
        """The child ``name`` of DataType, its text untouched."""
        ...

    def skip(self, name: str) -> None:
        """Allow ``name`` and what is in it, unread."""
        ...

    def done(self) -> None:
        """``InvalidInput`` when anything is left that was neither read nor skipped."""
        ...


class Sink(Protocol):
    """One structure of a message that goes out. None as a value writes nothing."""

    def attribute(self, name: str, value: str | None) -> None:
        """An attribute."""
        ...

    def flag(self, name: str, value: bool | None) -> None:  # noqa: FBT001 - the value to write
        """An attribute that is true or false."""
        ...

    def text(self, name: str, value: str | None) -> None:
        """A child with text."""
        ...

    def texts(self, name: str, values: Sequence[str]) -> None:
        """Children with text."""
        ...

    def wrapped(self, name: str, value: str | None) -> None:
        """A child that JSON wraps as ``{"Value": …}``."""
        ...

    def child(self, name: str) -> Sink:
        """A structure inside this one."""
        ...

    def item(self, name: str) -> Sink:
        """One of several structures of the same name."""
        ...

    def service(self) -> Sink:
        """One more additional service."""
        ...

    def uris(self, name: str, values: Sequence[str]) -> None:
        """Children of mssURIType."""
        ...

    def data(self, name: str, value: Data | None) -> None:
        """A child of DataType."""
        ...
