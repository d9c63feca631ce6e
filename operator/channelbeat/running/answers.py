"""What a running instance answers to whoever asks at its control socket."""

from collections.abc import Callable, Mapping

from channelbeat.core.instants import Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.outcomes import facts
from channelbeat.errors import UsageError
from channelbeat.running.control import Reply, Request, key
from channelbeat.runtime import Engine


class Answers:
    """`answer` is for control.listening. Mistakes of the asker are UsageErrors, or what a request that is not understood raises.
    `triggers`: why events cannot be triggered here, None if they can."""

    def __init__(
        self, engine: Engine, layers: Callable[[], Mapping[str, LayerSettings]], now: Callable[[], Ms], *, triggers: Callable[[], str | None] = lambda: None
    ) -> None:
        self._engine, self._layers, self._now, self._triggers = engine, layers, now, triggers

    async def answer(self, request: Request) -> Reply:
        match request["verb"]:
            case "trigger":
                if refusal := self._triggers():
                    raise UsageError(refusal)
                return facts(await self._engine.trigger(key(request["schedule"]), request["event"], request["token"] or self._now()))
            case "why":
                explained = await self._engine.why(key(request["schedule"]), request["event"], request["due"])
                return {"sentences": list(explained.sentences), "facts": dict(explained.facts)}
            case "resume":
                return {"resumed": await self._engine.resume(key(request["schedule"]), request["event"])}
            case "layer":
                return self._layer(request["layer"])
            case verb:
                raise ValueError(f"verb {verb!r}")

    def _layer(self, name: str) -> Reply:
        layer = self._layers().get(name)
        if layer is None:
            raise UsageError(f"no layer is called {name!r} here (there is {', '.join(self._layers())}): name one with --layer")
        return {"url": layer.url, "prefix": layer.prefix}
