"""What keeps one container of a worker's pod from running? Pure: its status, as the kubelet writes it -> a sentence with its cure.

The kubelet's words change while the trouble lasts (it waits, tries, waits longer): ours stay the same.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from channelbeat.core import instants
from channelbeat.core.finding import Finding
from channelbeat.core.instants import MINUTE, SECOND, Ms
from channelbeat.core.last_words import cut, last_words

STEADY: Final[Ms] = 30 * SECOND
"""A container that crashed, and has run for so long since, is over it."""
LONG: Final[Ms] = 10 * MINUTE
"""What ran for so long before it ended does not crash again and again: the kubelet, too, forgets what was before."""

PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed", "ImageInspectError"})
NOT_STARTED: Final = frozenset(
    {"CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError", "CreatePodSandboxError"}
)
UNABLE: Final = frozenset({"ContainerCannotRun", "StartError"})
"""Why a container ended whose program never began."""

_BACK_OFF: Final = re.compile(r'^(Back-off pulling image "[^"]*"(: )?)?((ErrImagePull|RegistryUnavailable|SignatureValidationFailed)(: |$))?')
_PULLING: Final = re.compile(r'^(failed to (pull and unpack image|resolve reference) "[^"]*": |failed to do request: \w+ "[^"]*": )*')
"""What containerd was about to do when it failed: the image is named anyway."""
_POD: Final = re.compile(r" \(pod: \S+, container: [^)]*\)$")
_MISSING: Final = re.compile(r"""not found$|couldn't find key|not found in file""")
_STOCK: Final = re.compile(r"unrecognized arguments:.*--(concurrency|drain-timeout|check)\b")
_NO_PROGRAM: Final = re.compile(r"executable file not found|no such file or directory|permission denied|exec format error", re.IGNORECASE)
_HINTS: Final = (
    (re.compile(r"Unknown command: '?runworker"), 'put "channelbeat.worker" and "channels" into INSTALLED_APPS of the project in the image'),
    (re.compile(r"can't open file .*manage\.py"), "the image's working directory has no manage.py: name it with its folder in {command}"),
    (
        re.compile(r"ModuleNotFoundError|No module named"),
        "install it in the image, for the Python that {command} runs; if it is your own, see that DJANGO_SETTINGS_MODULE names it as it is called "
        "in the image's working directory",
    ),
    (re.compile(r"CHANNEL_LAYERS has no|InvalidChannelLayerError"), "add the layer to CHANNEL_LAYERS of the project, or correct --layer in {command}"),
    (re.compile(r"redis\S*Error|Error -?\d+ connecting to"), "CHANNEL_LAYERS of the project must name a Redis that can be reached from the pod"),
    (re.compile(r"ImproperlyConfigured|KeyError: '[A-Z_]+'"), "if an environment variable is missing, give it in {env}"),
)
_CODES: Final = {
    126: "its program may not be executed",
    127: "its program was not found in the image",
    134: "it aborted itself",
    137: "it was killed: by the node, or because a probe failed",
    139: "its program crashed in native code",
    143: "it was asked to end: by the node, or because a probe failed",
}


class Written(NamedTuple):
    """Where a new user finds, or writes, what the pods are made of."""

    template: str
    command: str
    env: str
    resources: str


class Place(NamedTuple):
    """Where a container is, in words: `name` its own, `pod` and `namespace` those of its pod."""

    name: str
    pod: str
    namespace: str
    written: Written

    @property
    def who(self) -> str:
        return "the workers" if self.name == "worker" else f"container {self.name!r} of the workers' pods"

    @property
    def describe(self) -> str:
        return f"`kubectl describe pod {self.pod} -n {self.namespace}`"

    @property
    def logs(self) -> str:
        return f"`kubectl logs {self.pod} -c {self.name} -n {self.namespace} --previous`"


def trouble(place: Place, status: Mapping[str, Any], now: Ms) -> Finding | None:
    """`status`: an entry of containerStatuses or initContainerStatuses."""
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), str(waiting.get("message", ""))
    if reason in PULL or reason in ("ErrImageNeverPull", "InvalidImageName"):
        return _image(place, str(status.get("image", "")), reason, message)
    if reason == "CreateContainerConfigError":
        return _config(place, _POD.sub("", message))
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    if ended.get("reason") in UNABLE and (reason in NOT_STARTED or _again(status, state, ended, now)):
        return _not_started(place, str(ended.get("message", "")))
    if reason in NOT_STARTED:
        return _not_started(place, message)
    return _crash(place, ended, status) if ended and _again(status, state, ended, now) else None


def _again(status: Mapping[str, Any], state: Mapping[str, Any], ended: Mapping[str, Any], now: Ms) -> bool:
    """Whether it ends again and again. The kubelet starts it at once after its first end, later and later after others."""
    if (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff":
        return True
    ready, restarts = bool(status.get("ready")), int(status.get("restartCount", 0))  # an init container that has done its work is ready
    began = moment(ended.get("startedAt"), 0)
    if moment(ended.get("finishedAt"), now) - began >= LONG and began:
        return False
    if "terminated" in state:
        return restarts > 0 and not ready
    running = state.get("running")
    if running is None or restarts < 2:
        return False
    return now - moment(running.get("startedAt"), now) < (STEADY if ready else LONG)


def moment(text: object, otherwise: Ms) -> Ms:
    """Of a time as the API server writes it."""
    try:
        return instants.parse(str(text))
    except ValueError:
        return otherwise


def _image(place: Place, image: str, reason: str, message: str) -> Finding:
    said = cut(_PULLING.sub("", _BACK_OFF.sub("", message)))
    if reason == "InvalidImageName":
        text = f"{image!r} is no name of an image ({said}): correct it in {place.written.template}"
    elif reason == "ErrImageNeverPull":
        text = (
            f"image {image!r} of {place.who} is not on the node, and imagePullPolicy is Never: load it onto every node "
            f"(`kind load docker-image {image}`, `minikube image load {image}`), or leave imagePullPolicy out, in {place.written.template}"
        )
    else:
        text = f"image {image!r} of {place.who} cannot be pulled{f' (the node says: {said})' if said else ''}: {_pull_cure(said, place.written.template)}"
    return Finding("ImageCannotBePulled", text)


def _pull_cure(said: str, template: str) -> str:
    if re.search(r"\bdial (tcp|udp)\b|no such host|timeout|connection refused|no route|certificate|x509|RegistryUnavailable", said):
        return f"the node cannot reach its registry: see to that, or name one in {template} whose registry it can reach"
    if re.search(r"denied|nauthorized|40[13]\b|authentication|orbidden", said):
        return f"correct its name in {template}, push it, or, if it is private, name a Secret with its registry's password under imagePullSecrets there"
    return f"correct its name and tag in {template}, or push it to its registry"


def _config(place: Place, message: str) -> Finding:
    if _MISSING.search(message):
        cure = f"create it in namespace {place.namespace}, or correct the name in {place.written.env}"
        return Finding(
            "ConfigMissing",
            f"{place.who} cannot start: a Secret, a ConfigMap or a key that their environment is taken from is missing (the node says: {cut(message)}): {cure}",
        )
    return Finding("CannotStart", f"{place.who} cannot start (the node says: {cut(message)}): correct it in {place.written.template}")


def _not_started(place: Place, message: str) -> Finding:
    said = cut(message.rpartition("unable to start container process: ")[2].removesuffix(": unknown"))
    program = f"{place.written.command} must name a program that is in the image, may be run, and is made for the node's processor"
    hint = program if _NO_PROGRAM.search(said) else f"correct it in {place.written.template}, or see {place.describe}"
    return Finding("CannotStart", f"the program of {place.who} cannot be started (the node says: {said or 'nothing'}): {hint}")


def _crash(place: Place, ended: Mapping[str, Any], status: Mapping[str, Any]) -> Finding:
    said, code = last_words(str(ended.get("message") or "")), ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        cure = f"raise limits.memory in {place.written.resources}, or have a worker handle fewer events at a time (spec.worker.concurrency)"
        limit = ((status.get("resources") or {}).get("limits") or {}).get("memory", "")  # since Kubernetes 1.33
        allows = f"their limit{limit and ' of '}{limit} allows"
        return Finding("OOMKilled", f"{place.who} are killed again and again because they take more memory than {allows}: {cure}")
    if _STOCK.search(str(ended.get("message") or "")):
        return Finding(
            "StockWorker",
            "the workers run Channels' own runworker, which does not know the options of delivery: AtLeastOnce and ends at once "
            f'(it says: {said}): install channelbeat in the image and put "channelbeat.worker" before "channels" in INSTALLED_APPS, '
            "or set delivery: BestEffort",
        )
    if code == 0:
        text = f"{place.who} end by themselves, without a fault: the command must be one that goes on for ever, like runworker; see {place.logs}"
        return Finding("CrashLoop", text)
    why = f", which means that {_CODES[code]}" if code in _CODES else ""
    words = f"; their last words: {said}" if said else ""
    hint = next((f"{cure.format_map(place.written._asdict())}; " for pattern, cure in _HINTS if pattern.search(said)), "")
    return Finding("CrashLoop", f"{place.who} crash again and again (exit code {code}{why}{words}): {hint}see all they said with {place.logs}")
