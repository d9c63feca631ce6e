"""How does it stand with the workers of a schedule, as far as its Deployment, its pods and its channels tell? Somebody is told when that is another."""

from collections.abc import Callable, Mapping

from channelbeat.cluster.deployments import Deployments
from channelbeat.cluster.making import NOT_MADE
from channelbeat.cluster.pods import Pods
from channelbeat.cluster.posts import Post
from channelbeat.cluster.staffing import Staffing
from channelbeat.core.crews import Crew
from channelbeat.core.finding import Finding
from channelbeat.core.scaling import Decision
from channelbeat.core.workers import Workers
from channelbeat.running.autoscaler import Autoscaler


class Standings:
    """`changed` is called with the key of a schedule. `scaler`: who knows what keeps workers that are there from their work."""

    def __init__(
        self, staffing: Staffing, deployments: Deployments, pods: Pods, posts: Mapping[str, Post], *, create: bool, changed: Callable[[str], object]
    ) -> None:
        self._staffing, self._deployments, self._pods, self._posts = staffing, deployments, pods, posts
        self._create, self._changed = create, changed
        self._told: dict[str, object] = {}  # of crews, by their Deployments
        self._refused: Mapping[str, Finding] = {}
        self.scaler: Autoscaler | None = None

    def workers(self, schedule: str) -> Workers | None:
        """None: it asks for none, or nothing is known yet."""
        crew = self._staffing.crew_of(schedule)
        if crew is None:
            refused = self._staffing.refused.get(schedule)
            return Workers("", 0, 0, trouble=refused) if refused else None
        decision, ready, trouble = self._of(crew)
        if decision is None and trouble is None:
            return None
        return Workers(crew.key.partition("/")[2], decision.desired if decision else 0, ready, decision, trouble)

    def look(self, key: str) -> None:
        """A Deployment, or what is decided about it, may be another. The sentence alone is not worth a word: it changes with every event."""
        crew = self._staffing.crew(key)
        if crew is None:
            self._told.pop(key, None)
            return
        decision, ready, trouble = self._of(crew)
        standing = crew, decision and (decision.desired, decision.reason), ready, trouble
        if self._told.get(key) != standing:
            self._told[key] = standing
            for one in crew.members:
                self._changed(one.schedule.key)

    def look_at_refused(self) -> None:
        """Which schedules have no crew may be another."""
        before, self._refused = self._refused, self._staffing.refused
        for schedule in [key for key in before.keys() | self._refused.keys() if before.get(key) != self._refused.get(key)]:
            self._changed(schedule)

    def _of(self, crew: Crew) -> tuple[Decision | None, int, Finding | None]:
        """The decision, how many are ready, and the trouble: first what keeps the Deployment from being as it should be, then its pods, then their work."""
        if not (self._create or crew.shared):
            return None, 0, NOT_MADE
        post, live = self._posts.get(crew.key), self._deployments.get(crew.key)
        trouble: Finding | None = self._deployments.trouble(crew.key)
        if post is not None:
            trouble = trouble or post.trouble or post.meddled
        if self.scaler is not None and live is not None:
            trouble = trouble or self._pods.trouble(crew.key) or self.scaler.finding(crew.key)
        return post.decision if post is not None else None, live.ready if live is not None else 0, trouble
