"""One call about a Deployment, and what follows from its answer. Of a Deployment that was made anew meanwhile the API server refuses what was meant
for its predecessor."""

import logging
from typing import Final

from channelbeat.cluster import deployment, meddling
from channelbeat.cluster.answers import TOO_MANY
from channelbeat.cluster.api import Api
from channelbeat.cluster.deployment import MANAGER, PATH
from channelbeat.cluster.deployments import Deployments
from channelbeat.cluster.judging import Job
from channelbeat.cluster.live import Live
from channelbeat.cluster.making import Call, not_answered, told
from channelbeat.cluster.meddling import Watched
from channelbeat.cluster.pods import Pods
from channelbeat.cluster.posts import Post
from channelbeat.cluster.scale_targets import ScaleTargets
from channelbeat.cluster.sparing import spare
from channelbeat.engine.ports import Leadership
from channelbeat.engine.stopwatch import Stopwatch
from channelbeat.errors import ApiError, ApiRefused
from channelbeat.running.autoscaler import Autoscaler

log: Final = logging.getLogger("channelbeat.workers")


class Deeds:
    """`scaler`: who knows which pods have work in hand."""

    def __init__(self, api: Api, deployments: Deployments, targets: ScaleTargets, pods: Pods, *, leadership: Leadership, watch: Stopwatch) -> None:
        self._api, self._deployments, self._targets, self._pods = api, deployments, targets, pods
        self._leadership, self._watch = leadership, watch
        self.scaler: Autoscaler | None = None

    async def do(self, job: Job, post: Post) -> None:
        """What its step says."""
        call = job.step.call
        if call is None:
            return
        try:
            if job.live is not None and job.replicas and job.replicas < job.live.replicas:
                await self._spare(job.key, job.live)
            if call is Call.RESUME:
                post.watched = await self._targets.resumed(job.key, job.live.body if job.live else {})
            elif self._leadership.valid() and _still_wanted(job, post):
                await self._do(call, job, post)
        except ApiRefused as error:
            post.failed(call, self._watch.now())
            self._refused(job, post, error)
        except ApiError as error:
            post.failed(call, self._watch.now())
            if job.crew is not None and post.fails(call):
                post.trouble = not_answered(job.crew, error)
        else:
            post.done(call)
            post.trouble = job.step.trouble

    async def _do(self, call: Call, job: Job, post: Post) -> None:
        namespace, _, name = job.key.partition("/")
        paths = PATH.format(namespace)
        if job.replicas is not None:
            post.watched = meddling.was_set(post.watched or Watched(), 0 if call is Call.MAKE else job.replicas)
        if call is Call.MAKE and job.step.body:
            answer = await self._api.create(paths, job.step.body)
            post.wrote(call, job.what, self._watch.now())
            self._deployments.keep(answer)
        elif call is Call.APPLY and job.step.body and job.live:
            body = deployment.sent(job.step.body, job.live.uid, post.starts)
            answer = await self._api.apply(f"{paths}/{name}", body, manager=MANAGER)
            post.wrote(call, job.what, self._watch.now())
            self._deployments.keep(answer)
        elif job.replicas is not None:
            if job.crew is not None and job.crew.shared:
                await self._targets.scale(job.crew, job.replicas)
            else:
                await self._api.merge(f"{paths}/{name}/scale", {"spec": {"replicas": job.replicas}})
            post.wrote(call, job.what, self._watch.now())
            self._deployments.ask_for(job.key)  # the answer does not have all of it

    def _refused(self, job: Job, post: Post, error: ApiRefused) -> None:
        shared = job.crew is not None and job.crew.shared
        if job.step.call is Call.RESUME:
            post.watched = Watched()  # what is to be set cannot be recorded then, which is told
        elif (error.status in (404, 409) and not shared) or "metadata.uid" in str(error):
            self._deployments.ask_for(job.key)  # it was made, or deleted, meanwhile
        elif job.crew is None:
            log.warning("the Deployment %s, for which there is no use any more, keeps its pods: %s", job.key, error)
        elif error.status != TOO_MANY:
            post.refused, post.trouble = job.step.hash, told(job.crew, error)

    async def _spare(self, key: str, live: Live) -> None:
        """Idle pods go first. Without the right to look at them the controller chooses."""
        try:
            pods = await self._pods.of(live.body)
            await spare(self._api, key.partition("/")[0], pods, self.scaler.busy_pods(key) if self.scaler else ())
        except ApiRefused as error:
            log.warning("the pods of %s cannot be looked at before it is scaled in: %s", key, error)


def _still_wanted(job: Job, post: Post) -> bool:
    """To look at pods takes time, in which more work may have come: then nobody is stopped."""
    return job.crew is None or job.replicas is None or (post.decision is not None and post.decision.desired == job.replicas)
