"""Does this process lead one layer? It takes the lead when it may, and knows whether somebody else may have had it since."""

from channelbeat.core.batch import Verdict
from channelbeat.engine.ports import Broker, Leadership
from channelbeat.engine.stores import Stores
from channelbeat.errors import LayerError, LayerTaken, Stale, Unreachable, WritesRefused


class Lead:
    def __init__(self, broker: Broker, leadership: Leadership, stores: Stores) -> None:
        self._broker, self._leadership, self._stores = broker, leadership, stores
        self.held = False
        """It was taken, and nothing has been heard since that would end it."""
        self._led = False  # ever
        self._outranked = True  # by somebody, for all we know: only who is sure of the leadership takes the lead
        self._others = False  # somebody else may have sent since we last did

    @property
    def lost(self) -> bool:
        """Somebody else should lead: nothing more is sent."""
        return self._leadership.lost()

    def may_be_taken(self) -> bool:
        """Who led until its store changed or its Redis went away takes it again even while nobody can tell who should lead."""
        return self._leadership.valid() or not (self._outranked or self._leadership.lost())

    async def take(self) -> tuple[Verdict, bool] | None:
        """What the store is, and whether somebody else may have sent to it since we last did. None: it cannot be had for the moment,
        because another of our layers is about to leave it, or the leadership was lost meanwhile."""
        name = self._broker.name
        await self._broker.peek()  # a Redis that hangs hangs here, and keeps the lock from nobody
        async with self._stores.lock:
            generation = await self._broker.peek()
            if self._stores.being_left(generation, name):
                return None
            self._stores.claim(generation, name)
            if not self.may_be_taken():
                return None
            others = self._others or not self._leadership.valid() or (not self._led and self._leadership.preceded())
            verdict = await self._broker.lead()
            self._stores.claim(self._broker.generation, name)
        self.held, self._led, self._outranked, self._others = True, True, False, False
        return verdict, others

    def ended(self, error: LayerError) -> None:
        """What follows from an error: with no answer, or no room, it is as it was."""
        if not isinstance(error, Unreachable | WritesRefused):
            self.held = False
        if isinstance(error, Stale | LayerTaken):
            self._outranked = self._others = True

    def give_way(self) -> None:
        """Somebody else sends now, or nobody yet."""
        self.held = False
        self._outranked, self._others = True, self._others or self._led

    def let_go(self) -> None:
        """The layer is reached otherwise from now on: it is to be taken anew, wherever that leads."""
        self.held = False
        self._stores.release(self._broker.name)
