"""What does the API server's answer mean? Texts -> objects and errors, whose messages read well in a line of a log."""

import json
from collections.abc import Mapping
from typing import Any, Final

from channelbeat.errors import ApiRefused, ApiUnreachable

TOO_MANY: Final = 429
"""The status of a no for the moment: others ask, too."""
UNKNOWN_FIELD: Final = "failed to create typed patch object"
"""Said with 500 of what is to be applied and is not as it should be."""


def asked(method: str, path: str) -> str:
    """`GET .../shop/leases/channelbeat`: which group and version that is of, goes without saying."""
    _, namespaced, rest = path.partition("/namespaces/")
    return f"{method} .../{rest}" if namespaced and rest else f"{method} {path}"


def no(question: str, code: int, said: str) -> ApiRefused | ApiUnreachable:
    """An answer that is no success, with its HTTP status. The server that stumbles (5xx) may have carried out what was asked, which is why
    that is no refusal."""
    status = _status(said)
    message = status.get("message") or said.strip()[:200] or "without a word"
    if code >= 500 and not message.startswith(UNKNOWN_FIELD):
        return ApiUnreachable(f"the API server stumbles over {question}: {code} {message}")
    return ApiRefused(f"the API server refuses {question}: {message}", code, str(status.get("reason") or ""), message)


def event(line: bytes, question: str) -> tuple[str, dict[str, Any]]:
    """A line of a watch; ERROR is raised."""
    try:
        told = json.loads(line)
        kind, thing = str(told["type"]), dict(told["object"])
    except (ValueError, LookupError, TypeError):
        raise ApiUnreachable(f"the API server answers {question} with something that is no event") from None
    if kind == "ERROR":
        raise no(question, int(thing.get("code") or 500), json.dumps(thing))
    return kind, thing


def key_of(metadata: Mapping[str, Any]) -> str:
    """`namespace/name`."""
    return f"{metadata['namespace']}/{metadata['name']}"


def is_one(answer: Mapping[str, Any], kind: str, key: str) -> bool:
    """Whether it is the object that was asked for, and not a list, say, or what stands beside it. What is in a list does not tell its kind."""
    metadata = answer.get("metadata")
    return answer.get("kind") == kind and isinstance(metadata, Mapping) and f"{metadata.get('namespace')}/{metadata.get('name')}" == key


def following(page: Mapping[str, Any]) -> dict[str, str]:
    """What to ask for the next page of a list with; nothing after the last."""
    token = (page.get("metadata") or {}).get("continue")
    return {"continue": str(token)} if token else {}


def _status(said: str) -> Mapping[str, Any]:
    """Kubernetes' Status, or nothing: a proxy may have answered."""
    try:
        answer = json.loads(said)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
