"""Does anybody listen where a crew's events go? Its workers are ready, and yet nobody is seen, or nothing is fetched: told once it has lasted. Pure.

Our own workers say in Redis where they listen. Stock ones do not: of them it is only seen that the oldest message of a channel stays where it is.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from channelbeat.core.crews import Crew
from channelbeat.core.finding import Finding
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.layer import LayerSettings
from channelbeat.core.masking import masked
from channelbeat.core.measures import ChannelLoad
from channelbeat.core.scaling import Place
from channelbeat.core.timing import durations

PATIENCE: Final[Ms] = 30 * SECOND
"""A worker that is ready may need as long until its project is loaded and it is seen."""
NOBODY_LISTENS: Final = "NobodyListens"


class Deaf(NamedTuple):
    """`since` when nobody is seen in a place; `oldest`: that message waits there all the time, None where it is known that no worker listens."""

    since: Ms
    oldest: Ms | None


Silence: TypeAlias = Mapping[Place, Deaf]
"""By the places where nobody is seen now, while workers are ready."""


def silence(
    before: Silence,
    places: Iterable[Place],
    heard: Collection[Place],
    loads: Mapping[Place, ChannelLoad],
    *,
    ours: bool,
    now: Ms,
) -> Silence:
    """At this look, with workers ready. `heard`: where workers of ours listen; `ours`: such are expected. A place whose load nobody knows is left out."""
    found: dict[Place, Deaf] = {}
    for place in places:
        load = loads.get(place)
        if load is None or place in heard or (not ours and load.oldest is None):
            continue
        oldest = None if ours else load.oldest
        known = before.get(place)
        found[place] = known if known is not None and known.oldest == oldest else Deaf(now, oldest)
    return found


def nobody_listens(crew: Crew, silent: Silence, layers: Mapping[str, LayerSettings], now: Ms) -> Finding | None:
    """What to do about the first place that nobody has listened at for long enough."""
    for place, deaf in silent.items():
        layer = layers.get(place.layer)
        if layer is not None and now - deaf.since >= _patience(layer, deaf):
            return Finding(NOBODY_LISTENS, _text(crew, place, layer, deaf))
    return None


def _patience(layer: LayerSettings, deaf: Deaf) -> Ms:
    """A layer drops what is older than its expiry, and then another message is the oldest."""
    return PATIENCE if deaf.oldest is None else min(PATIENCE, layer.expiry * SECOND // 2)


def _text(crew: Crew, place: Place, layer: LayerSettings, deaf: Deaf) -> str:
    where = f"channel {place.channel!r} at Redis {_address(layer.url)} with prefix {layer.prefix!r} (layer {layer.name!r})"
    alias = f"CHANNEL_LAYERS of the workers' settings.py has this very Redis and prefix, under the alias {layer.name!r}"
    if deaf.oldest is None:
        seen = f"workers of {crew.key} are ready, but no runworker of channelbeat listens on {where}"
        more = 'and that "channelbeat.worker" stands before "channels" in INSTALLED_APPS'
    else:
        waited = durations.text(_patience(layer, deaf))
        seen = f"workers of {crew.key} are ready, but nobody has fetched what waits for over {waited} in {where}"
        more = "and that their command is a runworker"
    channels = "the Deployment's own command names this channel" if crew.shared else "spec.worker.command passes on the channels that are appended to it"
    return f"{seen}: see that {alias}, {more}, and that {channels}"


def _address(url: str) -> str:
    """Host, port and database; nothing that could be a secret."""
    return masked(url).partition("://")[2].partition("?")[0].rpartition("@")[2]
