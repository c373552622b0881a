"""The tree of TS 102 204 over JSON, as the REST interfaces of Kiuru and Swisscom spell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim_adapter.errors import InvalidInput
from sim_adapter.mss.model import Data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim_adapter.strict_json import JsonValue

JsonObject = dict[str, "JsonValue"]


class JsonSource:
    """:class:`sim_adapter.mss.tree.Source` over an object."""

    def __init__(self, members: JsonObject, name: str) -> None:
        self._left = dict(members)
        self._name = name

    def attribute(self, name: str) -> str | None:
        """See :class:`Source`."""
        return self.text(name)

    def flag(self, name: str) -> bool | None:
        """See :class:`Source`."""
        value = self._left.pop(name[0].upper() + name[1:], None)
        if value is not None and not isinstance(value, bool):
            raise InvalidInput(f"{self._name}: {name} is no truth value")
        return value

    def text(self, name: str) -> str | None:
        """See :class:`Source`."""
        value = self._left.pop(_plain(name), None)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)  # some answer with numbers where the text says strings
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"{self._name}: {name} is no string")
        return None if value is None else value.strip()

    def texts(self, name: str) -> list[str]:
        """See :class:`Source`."""
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise InvalidInput(f"{self._name}: {name} holds something else than strings")
        return [str(value).strip() for value in values]

    def wrapped(self, name: str) -> str | None:
        """See :class:`Source`."""
        source = self.child(name)
        if source is None:
            return None
        value = source.text("Value")
        source.done()
        return value

    def child(self, name: str) -> JsonSource | None:
        """See :class:`Source`."""
        value = self._left.pop(_plain(name), None)
        return None if value is None else self._object(name, value)

    def children(self, name: str) -> Sequence[JsonSource]:
        """See :class:`Source`."""
        return [self._object(name, value) for value in self._list(name)]

    def services(self) -> Sequence[JsonSource]:
        """See :class:`Source`."""
        return self.children("AdditionalServices")

    def uris(self, name: str) -> list[str]:
        """See :class:`Source`."""
        if isinstance(self._left.get(name), str):
            return [str(self._left.pop(name))]
        return self.texts(name)

    def data(self, name: str) -> Data | None:
        """See :class:`Source`."""
        source = self.child(name)
        if source is None:
            return None
        value = source.untouched("Data")
        mime_type, encoding = source.text("MimeType"), source.text("Encoding")
        source.done()
        if not isinstance(value, str):
            raise InvalidInput(f"{name}: Data is no string")
        return Data(value, mime_type, encoding)

    def untouched(self, name: str) -> JsonValue:
        """The member as it is, white space and all."""
        return self._left.pop(name, None)

    def skip(self, name: str) -> None:
        """See :class:`Source`."""
        self._left.pop(_plain(name), None)

    def done(self) -> None:
        """See :class:`Source`."""
        if self._left:
            raise InvalidInput(f"{self._name}: unexpected {next(iter(self._left))[:100]}")

    def _object(self, name: str, value: JsonValue) -> JsonSource:
        if not isinstance(value, dict):
            raise InvalidInput(f"{self._name}: {name} is no object")
        return JsonSource(value, _plain(name))

    def _list(self, name: str) -> list[JsonValue]:
        value = self._left.pop(_plain(name), [])
        if not isinstance(value, list):
            raise InvalidInput(f"{self._name}: {name} is no list")
        return value


class JsonSink:
    """:class:`sim_adapter.mss.tree.Sink` over an object."""

    def __init__(self, members: JsonObject) -> None:
        self._members = members

    def attribute(self, name: str, value: str | None) -> None:
        """See :class:`Sink`."""
        self.text(name, value)

    def flag(self, name: str, value: bool | None) -> None:  # noqa: FBT001 - the value to write
        """See :class:`Sink`."""
        if value is not None:
            self._members[name[0].upper() + name[1:]] = value

    def text(self, name: str, value: str | None) -> None:
        """See :class:`Sink`."""
        if value is not None:
            self._members[_plain(name)] = value

    def texts(self, name: str, values: Sequence[str]) -> None:
        """See :class:`Sink`."""
        if values:
            self._members[_plain(name)] = list(values)

    def wrapped(self, name: str, value: str | None) -> None:
        """See :class:`Sink`."""
        if value is not None:
            self._members[_plain(name)] = {"Value": value}

    def child(self, name: str) -> JsonSink:
        """See :class:`Sink`."""
        inside: JsonObject = {}
        self._members[_plain(name)] = inside
        return JsonSink(inside)

    def item(self, name: str) -> JsonSink:
        """See :class:`Sink`."""
        items = self._members.setdefault(_plain(name), [])
        inside: JsonObject = {}
        if isinstance(items, list):
            items.append(inside)
        return JsonSink(inside)

    def service(self) -> JsonSink:
        """See :class:`Sink`."""
        return self.item("AdditionalServices")

    def uris(self, name: str, values: Sequence[str]) -> None:
        """See :class:`Sink`. One URI is a string, several are a list."""
        if values:
            self._members[name] = values[0] if len(values) == 1 else list(values)

    def data(self, name: str, value: Data | None) -> None:
        """See :class:`Sink`."""
        if value is not None:
            sink = self.child(name)
            sink.text("MimeType", value.mime_type)
            sink.text("Encoding", value.encoding)
            sink.text("Data", value.value)


def _plain(name: str) -> str:
    return name.rpartition(":")[2]
