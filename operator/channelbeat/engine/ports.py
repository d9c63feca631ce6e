"""What the loops need from the world: small Protocols."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from channelbeat.core.batch import Answers, Fence, Item, Verdict
from channelbeat.core.crews import Crew
from channelbeat.core.instants import Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.measures import ChannelLoad, Listener
from channelbeat.core.outcomes import Notice, Outcome
from channelbeat.core.runs import Finished, Stats, Sweep
from channelbeat.core.scaling import Decision
from channelbeat.core.warming import Starts


class Clock(Protocol):
    """The machine's clock; tests hold one of their own."""

    def now(self) -> Ms: ...

    async def sleep_until(self, due: Ms | None, wake: asyncio.Event) -> None:
        """Return at `due` (never for None) or when `wake` is set, whichever is first."""


class Journal(Protocol):
    """Everything that becomes of an occurrence, and of a layer, passes here: to log, metrics, status and console."""

    def record(self, outcomes: Sequence[Outcome]) -> None: ...
    def tell(self, notice: Notice) -> None: ...
    def finished(self, runs: Sequence[Finished]) -> None: ...


class Leadership(Protocol):
    """Who should act. Who may send is decided by the epoch that Redis keeps, whatever is said here."""

    def valid(self) -> bool:
        """It is ours beyond doubt: layers may be taken, and the world be written to."""

    def lost(self) -> bool:
        """Somebody else has it, or nobody gave it to us: nothing more is sent. Neither valid nor lost means that nobody can
        tell; then who leads a layer goes on, because to stop would be an outage and to go on is fenced."""

    def preceded(self) -> bool:
        """Somebody else has had it, as far as can be seen: a store without a name may be one that was wiped."""


class Broker(Protocol):
    """One layer of an installation. Its methods raise LayerError: Unreachable (what was asked may have been carried out), WritesRefused,
    Stale, StoreChanged and LayerRefused (it was not), LayerTaken (from `lead`)."""

    name: str
    evicting: str | None

    @property
    def epoch(self) -> int:
        """The fencing number of our latest lead; 0 before the first."""

    @property
    def generation(self) -> str:
        """The store's name; empty while it has none."""

    @property
    def founded(self) -> Ms: ...

    def now(self) -> Ms | None:
        """Redis's time; None before its first answer."""

    async def peek(self) -> str: ...
    async def lead(self) -> Verdict: ...
    async def found(self) -> None: ...
    async def enqueue(self, items: Sequence[Item]) -> Answers: ...
    async def group_send(self, group: str, message: Mapping[str, Any]) -> None: ...
    async def resign(self) -> None: ...
    async def backlog(self, channels: Sequence[str]) -> dict[str, int]: ...
    async def loads(self, channels: Sequence[str]) -> dict[str, ChannelLoad]:
        """What is known of each, without those of whose keys one is something else."""

    async def listeners(self) -> list[Listener]: ...
    async def sweep(self) -> Sweep: ...
    async def results(self, after: str) -> tuple[str, list[Finished]]:
        """Runs that ended since the position `after`, oldest first, and the new position; "" asks for the position alone."""

    async def unattended(self) -> dict[str, int]:
        """Channels in which runs wait for long while no worker of ours listens, and how many wait."""

    async def stats(self, events: Sequence[str]) -> dict[str, Stats]: ...
    async def resume(self, event: str) -> bool:
        """End the event's pause; False if there was none."""

    async def fence(self, event: str) -> Fence | None: ...
    async def decisions(self, event: str) -> list[str]: ...
    def remembered(self) -> AsyncIterator[tuple[str, Fence]]: ...
    async def use(self, settings: LayerSettings) -> None:
        """From now on the layer is reached by these settings; it has to be led anew. No batch may be under way."""

    async def close(self) -> None: ...


class Observed(NamedTuple):
    """Of a crew: how many it should have by its own spec, and how many of them are ready."""

    replicas: int
    ready: int


class Workloads(Protocol):
    """Where workers come from: Deployments, or processes. No method waits for anything."""

    def crews(self) -> Sequence[Crew]:
        """All there are; the same objects while nothing changed."""

    def observe(self, crew: Crew) -> Observed | None:
        """(0, 0) for one that is yet to be made; None while nobody can tell, and then nothing is decided."""

    def want(self, crew: Crew, decision: Decision, starts: Starts) -> None:
        """Called every second or so; it is brought about later, and `starts` is kept for whoever leads next."""
