"""How long after its due time an occurrence is sent: the same on every leader, and never past the next due time."""

from hashlib import blake2b

from channelbeat.core.instants import Ms


def jitter(key: str, due: Ms, longest: Ms, gap: Ms | None) -> Ms:
    """At least 0, less than `longest` and less than `gap` (to the next due time, None when there is none)."""
    span = longest if gap is None else min(longest, gap)
    if span <= 1:
        return 0
    return int.from_bytes(blake2b(f"{key} {due}".encode(), digest_size=8).digest()) * span >> 64
