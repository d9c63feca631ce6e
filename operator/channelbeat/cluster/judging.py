"""What is to be done about one Deployment now? What is wanted, what is there and what was tried -> a job, and when to look again. No I/O."""

from typing import NamedTuple

from channelbeat.cluster import making, meddling
from channelbeat.cluster.deployments import Deployments
from channelbeat.cluster.live import Live
from channelbeat.cluster.making import Call, Step
from channelbeat.cluster.meddling import Watched
from channelbeat.cluster.posts import PATIENCE, Post
from channelbeat.cluster.staffing import Staffing, source_of
from channelbeat.core.crews import Crew
from channelbeat.core.instants import Ms


class Job(NamedTuple):
    """`crew` None: the Deployment was made for a schedule that has no use for it any more. `replicas` None: how many, is left to somebody else."""

    key: str
    step: Step
    crew: Crew | None
    live: Live | None
    replicas: int | None

    @property
    def what(self) -> str:
        """It is done: for a schedule that was made anew, or for others, it is something else."""
        if self.step.call is Call.MAKE and self.crew is not None:
            return self.crew.members[0].uid
        return f"{self.step.hash} {self.replicas}"


class Judge:
    def __init__(self, staffing: Staffing, deployments: Deployments, *, create: bool) -> None:
        self._staffing, self._deployments, self._create = staffing, deployments, create

    def job(self, key: str, post: Post, now: Ms) -> tuple[Job | None, Ms | None]:
        """None: there is nothing to say of it before something changes."""
        crew, live = self._staffing.crew(key), self._deployments.get(key)
        if not self._deployments.known(key):
            return None, None
        if crew is None:
            return self._left_over(key, live), None
        if not self._staffing.current(crew):
            return None, None  # crews are about to be made out anew
        source = source_of(crew)
        if not (self._create or crew.shared) or (source and not self._deployments.known(source)):
            return None, None
        copied = self._deployments.get(source) if source else None
        _begin_anew_if_edited(crew, copied, post)
        look_at_number(crew, live, post, now)
        wanted = post.decision.desired if post.decision is not None else None
        number = wanted if post.meddled is None else None
        if crew.shared:
            step = making.target(crew, live, number)
            if live is not None and post.watched is None:
                step = Step(Call.RESUME)
        elif wanted is None:
            return None, None
        else:
            step = making.step(crew, live, copied.source if copied else None, number)
        step, again = self._tried(step, live, number, post, now)
        return Job(key, step, crew, live, number), again

    def _tried(self, step: Step, live: Live | None, number: int | None, post: Post, now: Ms) -> tuple[Step, Ms | None]:
        """What follows from what was tried before."""
        if post.has_waited(now, waits=step.waits):
            return step, None
        if step.waits:
            return Step(waits=True), now + PATIENCE
        if live is not None and step.call is Call.APPLY and step.hash == post.refused and (at := post.not_before(Call.APPLY, "")) > now:
            return making.scaled(live, number, post.trouble), at
        return step, None

    def _left_over(self, key: str, live: Live | None) -> Job | None:
        if live is None or live.dying or live.replicas == 0 or not self._create or not self._staffing.left_over(key, live.owner):
            return None
        return Job(key, Step(Call.SCALE), None, live, 0)


def look_at_number(crew: Crew, live: Live | None, post: Post, now: Ms) -> None:
    """Does somebody else set it? Who did so with one that is gone, did so with that."""
    uid = live.uid if live is not None else ""
    if post.uid != uid:
        post.uid, post.watched, post.meddled = uid, None, None
    if live is None:
        return
    if post.watched is None and not crew.shared:
        post.watched = Watched()
    if post.decision is not None and post.watched is not None and live.rest:
        post.watched, post.meddled = meddling.look(post.watched, live.body, post.decision.desired, now, shared=crew.shared)


def _begin_anew_if_edited(crew: Crew, copied: Live | None, post: Post) -> None:
    basis = crew, copied.template if copied is not None else b""
    if basis != post.basis:
        post.basis = basis
        post.begin_anew()
    blocks = [one.schedule.spec.worker for one in crew.members]
    if blocks != post.blocks:
        if post.blocks is not None:
            post.watched, post.meddled = Watched(), None
        post.blocks = blocks
