"""The register hears of what the API server has, without kopf."""

from contextlib import aclosing

from channelbeat.cluster.answers import key_of
from channelbeat.cluster.api import Api
from channelbeat.cluster.register import Register


async def follow(api: Api, path: str, register: Register) -> None:
    """Until cancelled, from the first that is there now."""
    async with aclosing(api.watch(path, since="")) as changes:
        async for kind, found in changes:
            if kind == "DELETED":
                register.forget(key_of(found["metadata"]), found["metadata"]["uid"])
            elif kind != "BOOKMARK":
                register.see(found)
