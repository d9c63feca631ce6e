"""Words of the tests of triggers: two tokens, and asking for one."""

from channelbeat.core.instants import Ms
from channelbeat.core.outcomes import Outcome
from support.rig import Rig, schedule
from support.times import NOON

QUIET = schedule({"at": "2029-01-01T00:00:00Z"}, {"at": "2029-01-01T00:00:00Z"})
T1, T2 = NOON, NOON + 1
SENT1, SENT2 = "trigger-2025-06-02T12:00:00Z", "trigger-2025-06-02T12:00:00.001Z"


async def ask(rig: Rig, token: Ms = T1, event: str = "e") -> str:
    """What became of it, once that is known."""
    asked = rig.lane.trigger(rig.definition(event), token)
    await rig.advance_until(asked.done)
    return told(await asked)


def told(outcome: Outcome) -> str:
    return f"{outcome.kind}/{outcome.reason}"
