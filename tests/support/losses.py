"""Replies of a layer that get lost on their way to an engine, as asked for."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from channelbeat.core.batch import Answers, Item
from channelbeat.engine.ports import Broker
from channelbeat.errors import Unreachable


class _Loss(NamedTuple):
    of: str | type[Any]
    carried_out: bool
    then: Callable[[], None]


class Losses:
    """`Rig(url, wrap=losses.between)` puts it between an engine and its broker."""

    def __init__(self) -> None:
        self._asked: list[_Loss] = []

    def between(self, broker: Broker) -> Broker:
        self._broker = broker
        return cast(Broker, self)

    def lose(self, of: str | type[Any], *, carried_out: bool, then: Callable[[], None] = lambda: None) -> None:
        """The reply to the next call named `of`, or to the next batch that has such an item; `then` is called before it is missed."""
        self._asked.append(_Loss(of, carried_out, then))

    @property
    def all_happened(self) -> bool:
        return not self._asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def lead(self) -> Any:
        return await self._call("lead", self._broker.lead)

    async def found(self) -> Any:
        return await self._call("found", self._broker.found)

    async def enqueue(self, items: Sequence[Item]) -> Answers:
        of = next((loss.of for loss in self._asked if any(type(item) is loss.of for item in items)), "enqueue")
        return cast(Answers, await self._call(of, lambda: self._broker.enqueue(items)))

    async def _call(self, of: str | type[Any], ask: Callable[[], Any]) -> Any:
        loss = next((loss for loss in self._asked if loss.of == of), None)
        if loss is None:
            return await ask()
        self._asked.remove(loss)
        if loss.carried_out:
            await ask()
        loss.then()
        raise Unreachable("layer 'default': the reply is lost")
