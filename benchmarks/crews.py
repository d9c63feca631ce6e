"""Many channels with workers of their own, on an API server without nodes: is each number right, what does it cost, and who is asked for what?"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from redis import Redis

from benchmarks.stage import Call, Stage, progress, used, when
from benchmarks.tables import Table, aim, seconds
from channelbeat.broker.keys import Keys
from support.operators import Installation, Operator

PER_REPLICA: Final = 100
MOST: Final = 5
LIMIT: Final = 300.0
REACTION: Final = 2.0
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/{}/deployments"
WAITING: Final = {"nothing": 0, "one": 1, "250": 250, "2,000": 2_000}
"""What is put into a channel, in turn over all of them."""
WANTED: Final = {"nothing": 0, "one": 1, "250": 3, "2,000": MOST}


def tables(stage: Stage, us: Installation, number: int, rest: float) -> Iterator[Table]:
    progress(f"{number} schedules with workers are made")
    stage.make_schedules(us, [_schedule(place) for place in range(number)])
    rows: list[tuple[str, ...]] = []
    start = time.time()
    one = stage.start(us)
    made = when(one, lambda: len(_replicas(stage, us)) == number, LIMIT, f"{number} Deployments")
    rows.append(("a Deployment for each is made", seconds(made - start), *_use(used(one))))
    settled = _settled(stage)
    resting, row = _at_rest(stage, one, rest, "nothing")
    rows.append(row)

    progress("runs are put into three of four channels")
    calls = stage.calls()
    words = [*WAITING]
    put = time.time()
    with Redis.from_url(stage.url) as redis:
        for place in range(number):
            _fill(redis, us.namespace, f"bench-{place}", WAITING[words[place % len(words)]])
    filled = time.time()
    wanted = {f"bench-{place}-worker": WANTED[words[place % len(words)]] for place in range(number)}
    right = when(one, lambda: _replicas(stage, us) == wanted, LIMIT, "every number to be right")
    rows.append(("every number is right", f"{right - filled:.2f} after the last run was put (which took {filled - put:.1f})", *_use(used(one))))
    _settled(stage)
    scaling = stage.calls() - calls
    waiting, row = _at_rest(stage, one, rest, "runs")
    rows.append(row)
    notes = [
        aim(f"every number is right within {REACTION:g} s ({right - filled:.2f} s)", reached=right - filled <= REACTION),
        f"The status of the last schedule was written {settled - made:.0f} s after the last Deployment: 20 writes a second, by default.",
    ]
    yield Table(f"{number} channels with workers, one schedule and one Deployment each", ("", "s", "MB", "at most"), rows, notes)
    changes = sum(replicas > 0 for replicas in wanted.values())
    columns = {"nothing waits": resting, f"{changes} Deployments are scaled": scaling, "nothing changes": waiting}
    yield _asked(columns, changes)


def _at_rest(stage: Stage, one: Operator, rest: float, what: str) -> tuple[Counter[Call], tuple[str, ...]]:
    """What the API server is asked, and the row of what it costs, for `rest` seconds with `what` waiting."""
    before, calls = used(one), stage.calls()
    progress(f"{what} waiting, for {rest:g} s")
    time.sleep(rest)
    after = used(one)
    return stage.calls() - calls, (f"{rest:g} s with {what} waiting", f"{(after.cpu - before.cpu) / rest:.1%} of a core", *_use(after))


def _schedule(place: int) -> dict[str, Any]:
    """Due half a year from now, so that nothing but what is put counts."""
    scaling = {"maxReplicas": MOST, "eventsPerReplica": PER_REPLICA}
    template = {"spec": {"containers": [{"name": "worker", "image": "shop:1"}]}}
    month = (time.gmtime().tm_mon + 5) % 12 + 1
    return {
        "apiVersion": "channelbeat.dev/v1alpha1",
        "kind": "BeatSchedule",
        "metadata": {"name": f"bench-{place}"},
        "spec": {
            "channel": f"bench-{place}",
            "delivery": "AtLeastOnce",
            "events": [{"name": "e", "type": "work", "cron": f"0 0 1 {month} *"}],
            "worker": {"template": template, "scaling": scaling},
        },
    }


def _fill(redis: Any, prefix: str, channel: str, number: int) -> None:
    """Members of the queue, which nobody takes: there are no workers."""
    if number:
        now = int(time.time() * 1000)
        redis.zadd(Keys(prefix).queue(channel), {f"bench/{channel}/e/{run}": now for run in range(number)})


def _replicas(stage: Stage, us: Installation) -> dict[str, int]:
    found = stage.api.get(DEPLOYMENTS.format(us.namespace))["items"]
    return {one["metadata"]["name"]: one["spec"]["replicas"] for one in found}


def _settled(stage: Stage, quiet: float = 5.0) -> float:
    """The moment of the last write but the Lease's, roughly."""

    def writes() -> int:
        return sum(count for call, count in stage.calls().items() if call.writes and call.what != "leases")

    number, since = writes(), time.time()
    while time.time() < since + quiet:
        time.sleep(0.5)
        if (found := writes()) != number:
            number, since = found, time.time()
    return since


def _use(use: Any) -> tuple[str, str]:
    return f"{use.memory:.0f}", f"{use.most:.0f}"


def _asked(columns: dict[str, Counter[Call]], changes: int) -> Table:
    calls = sorted({call for counts in columns.values() for call in counts if call.writes and call.what != "leases"})
    rows = [(f"{call.verb} {call.what}", *(f"{counts[call]:,}" for counts in columns.values())) for call in calls]
    counts = {name: Counter({call: count for call, count in found.items() if call in calls}) for name, found in columns.items()}
    idle = [name for name in columns if "scaled" not in name]
    written = sum(counts[name][call] for name in columns.keys() - idle for call in calls if call.what.startswith("deployments"))
    notes = [
        aim(f"no write while nothing changes ({' and '.join(str(counts[name].total()) for name in idle)})", reached=not any(counts[name] for name in idle)),
        aim(f"one write for each Deployment that is scaled ({written} for {changes})", reached=written == changes),
    ]
    return Table("What is written to the API server meanwhile, but the Lease", ("", *columns), rows, notes)
