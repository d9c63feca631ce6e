"""A batch on its way into the enqueue script and back: items as rows by index, letters as answers in the items' order."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgpack

from channelbeat.core.batch import QUEUE, Adopt, Answer, Answers, Bury, Fence, Item, Look, Send, Skip, Trigger
from channelbeat.core.instants import Ms

_LETTERS: Final = {answer.value: answer for answer in Answer}


class Rows:
    """Items as the script reads them, and its answers back in the items' order."""

    def __init__(self, layer: Any, items: Sequence[Item], *, queue_limit: int) -> None:
        self._layer, self._items, self._queue_limit = layer, items, queue_limit
        self._events: dict[str, int] = {}
        self.channels: dict[str, int] = {}
        self._rows: list[Any] = []  # the values of all rows, one after the other
        self._places: list[int] = []  # of the rows, among the items
        self._unserializable: dict[int, str] = {}
        spoiled = set[str]()
        for place, item in enumerate(items):
            if item.event in spoiled:
                continue
            try:
                row = self._row(item)
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                self._unserializable[place] = f"{type(error).__name__}: {error}"
                spoiled.add(item.event)
                continue
            self._rows += row
            self._places.append(place)

    def _row(self, item: Item) -> list[Any]:
        event = self._events.setdefault(item.event, len(self._events) + 1)
        if type(item) is Send:
            body, channel = self._body(item.message, f"{item.event}/{item.due}"), self._channel(item.channel)
            row = [event, item.due, _fence(item), item.hash, _entry(item, None), channel, body]
            return ["s", *row] if item.tracked is None else ["q", *row, *item.tracked]
        if type(item) is Skip:
            return ["k", event, item.due, _fence(item), item.hash, _entry(item, item.since)]
        if type(item) is Look:
            return ["l", event]
        if type(item) is Adopt:
            return ["a", event, item.due, _fence(item), item.entry]
        if type(item) is Bury:
            return ["b", event, item.before]
        trigger: Trigger = item  # type: ignore[assignment]  # the last of the union
        body = self._body(trigger.message, f"{trigger.event}!{trigger.token}") if trigger.channel is not None else b""
        channel = self._channel(trigger.channel) if trigger.channel is not None else 0
        row = [event, trigger.token, trigger.forget, channel, body, f"{trigger.token} - triggered"]
        return ["t", *row] if trigger.tracked is None else ["v", *row, *trigger.tracked]

    def _body(self, message: Mapping[str, Any], run: str) -> bytes:
        """As the layer serializes it, but what stands in front so that no two are alike is not random: it comes of the run. Sent again, it is the same
        member of its channel. For a Redis that crashed while it wrote a batch to its append-only file keeps a part of that, which its next start
        leaves out and the one after it brings back (valkey-io/valkey#4342), when all of it was sent again long ago."""
        length: int = self._layer._serializer.random_prefix_length
        body: bytes = self._layer.serialize(message)
        return front(run, length) + body[length:]

    def _channel(self, name: str) -> int:
        return self.channels.setdefault(name, len(self.channels) + 1)

    def packed(self) -> bytes:
        settings = [self._setting(name) for name in self.channels]
        # Redis 7.0's cmsgpack refuses msgpack's bin types
        return msgpack.packb([list(self._events), settings, self._rows], use_bin_type=False)  # type: ignore[no-any-return]

    def _setting(self, target: str) -> list[Any]:
        if target.startswith(QUEUE):
            return [self._queue_limit, 0, target.removeprefix(QUEUE)]
        return [self._layer.get_capacity(target), int(self._layer.expiry), ""]

    def answers(self, letters: str, extra: Any, room: list[int], expired: list[int]) -> Answers:
        if isinstance(extra, list):  # a Lua table without gaps
            extra = dict(enumerate(extra, start=1))
        if len(letters) == len(self._items):
            found = tuple([_LETTERS[letter] for letter in letters])
        else:
            listed = [Answer.UNSERIALIZABLE if place in self._unserializable else Answer.HELD for place in range(len(self._items))]
            for place, letter in zip(self._places, letters, strict=True):
                listed[place] = _LETTERS[letter]
            found = tuple(listed)
        placed = {self._places[row - 1]: self._extra(self._items[self._places[row - 1]], value) for row, value in extra.items()}
        return Answers(found, placed | self._unserializable, dict(zip(self.channels, room, strict=True)), dict(zip(self.channels, expired, strict=True)))

    @staticmethod
    def _extra(item: Item, value: str) -> Any:
        return int(value) if type(item) is Adopt else fence(value)


def front(run: str, length: int) -> bytes:
    """What stands in front of a run's message."""
    return hashlib.shake_128(run.encode()).digest(length)


def fence(text: str) -> Fence | None:
    """A fence as it is stored; None for nothing stored, or nothing that was one."""
    due, _, rest = text.partition(" ")
    hash_, _, code = rest.partition(" ")
    return Fence(int(due), hash_, code) if due.isdecimal() and hash_ else None


def _fence(item: Adopt | Skip | Send) -> str:
    return f"{item.due} {item.hash} {item.code}"


def _entry(item: Skip | Send, since: Ms | None) -> str:
    return f"{item.due} {'-' if since is None else since} {item.code}" if item.logged else ""
