"""An event that our own code stumbles over is set aside and told; the others go on."""

from dataclasses import dataclass, replace
from typing import Any, cast

from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.outcomes import Sign
from support.redis import RedisServer
from support.rig import Rig, schedule


@dataclass(frozen=True)
class Stumbling:
    """A timetable that cannot tell its due times."""

    hash: str = "0123456789ab"
    period: Ms | None = None

    def next(self, after: Ms) -> Any:
        raise ArithmeticError("no such day")


async def test_an_event_we_stumble_over_is_set_aside_told_once_and_stops_no_other(redis: object, redis_server: RedisServer) -> None:
    rig = Rig(redis_server.url)
    await rig.start(schedule({"every": "1s"}, {"every": "1s"}))
    sound = rig.book.definition("default/t", "e1")
    assert sound is not None
    rig.lane.put(replace(sound, timetable=cast(Any, Stumbling()), hash="0123456789ab"))
    await rig.pass_time(3 * SECOND)
    told = [notice.text for notice in rig.journal.notices if notice.sign is Sign.FAULT]
    assert told == [
        "layer 'default': event default/t/e1 is set aside until it is edited, for a fault of channelbeat's own (ArithmeticError: no such day): please report it"
    ]
    assert [message["beat"]["event"] for message in rig.messages()] == ["e", "e", "e"]
    rig.lane.put(sound)
    await rig.pass_time(2 * SECOND)
    assert sorted(message["beat"]["event"] for message in rig.messages()) == ["e"] * 5 + ["e1"] * 2
    await rig.stop()
