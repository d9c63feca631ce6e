"""Workers as Deployments: made, kept as they should be, scaled, and told about. The Workloads port.

What was decided is brought about by the leader alone, a call for each Deployment that differs from what it should be; with nothing changing nothing is
called. Gather: `staffing`, `deployments`. Decide: `making`. Apply: `deeds`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from channelbeat.cluster.api import Api
from channelbeat.cluster.calls import Calls
from channelbeat.cluster.deeds import Deeds
from channelbeat.cluster.deployment import starts
from channelbeat.cluster.deployments import Deployments
from channelbeat.cluster.judging import Judge, look_at_number
from channelbeat.cluster.pods import Pods
from channelbeat.cluster.posts import Post
from channelbeat.cluster.scale_targets import ScaleTargets
from channelbeat.cluster.staffing import Staffing
from channelbeat.cluster.standings import Standings
from channelbeat.cluster.turns import Turn, Turns
from channelbeat.core.crews import Crew
from channelbeat.core.finding import Finding
from channelbeat.core.instants import SECOND, Ms
from channelbeat.core.scaling import Decision
from channelbeat.core.warming import Starts
from channelbeat.core.workers import Workers
from channelbeat.engine.ports import Clock, Leadership, Observed
from channelbeat.engine.stopwatch import Stopwatch
from channelbeat.errors import ApiError
from channelbeat.running.autoscaler import Autoscaler

log: Final = logging.getLogger("channelbeat.workers")

CALLS: Final = 200.0  # a second
AT_LEAST_EVERY: Final[Ms] = SECOND
COALESCED: Final[Ms] = 200
"""Crews are made out so rarely while many schedules change."""
GRID: Final[Ms] = 100
YIELDS: Final = 20  # after so many looks others have their turn: one takes up to a millisecond


class Workloads:
    """`namespaces`: whose Deployments are watched; None: of all. `create`: False where the installation makes none. `changed` is called with the key of a
    schedule whose `workers` may say something else."""

    def __init__(
        self,
        api: Api,
        staffing: Staffing,
        *,
        namespaces: Sequence[str] | None,
        targets: ScaleTargets,
        leadership: Leadership,
        clock: Clock,
        changed: Callable[[str], object],
        create: bool = True,
    ) -> None:
        self._staffing, self._targets, self._leadership, self._create = staffing, targets, leadership, create
        self._watch = Stopwatch(clock)
        self._wake = asyncio.Event()
        self._calls = Calls(CALLS, self._watch, ended=self._wake.set)
        self._deployments = Deployments(api, namespaces=namespaces, part=staffing.part, changed=self._seen)
        self._pods = Pods(api, clock, leading=leadership.valid, changed=lambda key: self._standings.look(key))
        self._deeds = Deeds(api, self._deployments, targets, self._pods, leadership=leadership, watch=self._watch)
        self._posts: dict[str, Post] = {}
        self._judge = Judge(staffing, self._deployments, create=create)
        self._standings = Standings(staffing, self._deployments, self._pods, self._posts, create=create, changed=changed)
        self._crews: dict[str, Crew] = {}
        self._turns = Turns()
        self._leads = False
        self._take_in_at: Ms | None = None
        self._releases, self._release_at = False, 0  # Deployments may have to be given back
        self._scaler: Autoscaler | None = None
        staffing.changed = self._restaffed

    def crews(self) -> Sequence[Crew]:
        return self._staffing.crews()

    def observe(self, crew: Crew) -> Observed | None:
        if not self._deployments.known(crew.key) or not (self._create or crew.shared):
            return None
        live = self._deployments.get(crew.key)
        if crew.shared:
            return Observed(live.replicas, live.ready) if live else None
        ours = live is not None and live.owner == crew.members[0].uid and not live.dying
        return Observed(live.replicas, live.ready) if live is not None and ours else Observed(0, 0)

    def want(self, crew: Crew, decision: Decision, starts: Starts) -> None:
        if self._posts.setdefault(crew.key, Post()).want(decision, starts):
            self._turn(crew.key)
        self._standings.look(crew.key)

    def workers(self, schedule: str) -> Workers | None:
        """None: it asks for none, or nothing is known yet."""
        return self._standings.workers(schedule)

    def heed(self, scaler: Autoscaler) -> None:
        """It decides, and remembers what earlier leaders had learned."""
        self._scaler = self._standings.scaler = self._deeds.scaler = scaler

    def wake(self) -> None:
        """The leadership may have changed."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. Everything that exists has to have been seen."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deployments.run())
            group.create_task(self._pods.run())
            group.create_task(self._work())

    async def _work(self) -> None:
        self._restaffed()
        try:
            while True:
                self._wake.clear()
                self._see_who_leads()
                if self._take_in_at is not None and self._take_in_at <= self._watch.now():
                    self._take_in()
                if self._leads:
                    await self._round()
                await self._watch.sleep_until(self._next(), self._wake)
        finally:
            await self._calls.end()

    def _see_who_leads(self) -> None:
        led, self._leads = self._leads, self._leadership.valid()
        if self._leads == led:
            return
        for post in self._posts.values():
            post.begin_term()
        self._turns.clear()
        if self._leads:
            self._targets.forget()
            self._releases = True
            for key in {*self._crews, *self._deployments.keys()}:
                self._turn(key)

    async def _round(self) -> None:
        """Those whose turn it is, as many as there is room for: most need a call."""
        now = self._watch.now()
        if self._releases and now >= self._release_at and self._calls.room() >= 1:
            self._releases, self._release_at = False, now + SECOND
            self._calls.begin(self._release())
        taken = [key for _, key in self._turns.take(now, max(self._calls.room(), 0))]
        for number, key in enumerate(taken):
            if number % YIELDS == YIELDS - 1:
                await asyncio.sleep(0)
            if not self._leadership.valid():
                for left in taken[number:]:  # if it is valid again in a moment, that was no end of the term
                    self._turn(left, now)
                return
            post = self._posts.setdefault(key, Post())
            try:
                self._look(key, post, now)
            except Exception as fault:
                log.exception("the Deployment %s is left as it is, for a fault of channelbeat's own: please report it", key)
                post.trouble = Finding("InternalFault", f"channelbeat stumbles over it ({type(fault).__name__}: {fault}): please report it")
            self._standings.look(key)

    def _look(self, key: str, post: Post, now: Ms) -> None:
        if post.busy:
            return  # it has its turn again at the end of that
        if self._take_in_at is not None and self._staffing.crew(key) is not self._crews.get(key):
            self._turn(key, self._take_in_at)  # what it names was not asked for yet
            return
        job, again = self._judge.job(key, post, now)
        if again is not None:
            self._turn(key, again)
        if job is None:
            if self._staffing.crew(key) is None and self._deployments.known(key):  # else what was tried counts
                del self._posts[key]
        elif job.step.call is None:
            post.trouble = job.step.trouble
        elif (at := post.not_before(job.step.call, job.what)) > now:
            self._turn(key, at)
        elif self._calls.room() < 1:
            self._turn(key, now + GRID)
        else:
            post.busy = True
            self._calls.begin(self._deeds.do(job, post), then=lambda: self._done(key, post))

    def _done(self, key: str, post: Post) -> None:
        post.busy = False
        self._turn(key)
        self._standings.look(key)

    async def _release(self) -> None:
        """What nobody names any more has its own number again."""
        try:
            await self._targets.release(self._staffing.scaled())
        except ApiError:
            self._releases = True

    def _restaffed(self) -> None:
        if self._take_in_at is None:
            self._take_in_at = self._watch.now() + (COALESCED if self._crews else 0)
            self._wake.set()

    def _take_in(self) -> None:
        """Crews are others now."""
        self._take_in_at = None
        before, self._crews = self._crews, {crew.key: crew for crew in self._staffing.crews()}
        self._deployments.need(self._staffing.named(), self._crews)
        others = [(key, live.owner) for key in {*self._deployments.keys()} - self._crews.keys() if (live := self._deployments.get(key))]
        left = {key for key, owner in others if self._staffing.left_over(key, owner)}  # an earlier operator may have made it
        for key in before.keys() | self._crews.keys() | self._posts.keys() | left:  # one may have come, been wanted and gone since we last looked
            if key not in self._crews or before.get(key) is not self._crews[key]:
                self._pods.heed(key, self._crews.get(key), self._deployments.get(key))
                self._turn(key)
                self._standings.look(key)
        self._standings.look_at_refused()
        self._releases = True

    def _seen(self, key: str) -> None:
        """A Deployment is another than it was."""
        if not key:
            for each in {*self._crews, *self._deployments.keys()}:
                self._seen(each)
            return
        crew, live = self._crews.get(key), self._deployments.get(key)
        self._pods.heed(key, crew, live)
        if crew is not None and live is not None and live.rest:
            if self._scaler and not crew.shared and not (self._leads and self._scaler.starts(key)) and (learned := starts(live.body)):
                self._scaler.remember(key, learned)
            if (post := self._posts.get(key)) is not None:
                look_at_number(crew, live, post, self._watch.now())
        for one in (key, *(copy.key for copy in self._staffing.copies(key))):
            self._turn(one)
        self._standings.look(key)

    def _turn(self, key: str, at: Ms | None = None) -> None:
        if self._leads:
            self._turns.put(Turn.SOON, key, self._watch.now() if at is None else at)
            self._wake.set()

    def _next(self) -> Ms:
        now = self._watch.now()
        nexts = [now + AT_LEAST_EVERY]
        if self._take_in_at is not None:
            nexts.append(self._take_in_at)
        if self._leads and (first := self._turns.first()) is not None:
            nexts.append(max(first, self._calls.next()))
        return min(nexts)
