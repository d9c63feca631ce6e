"""Sends a run from each place that Django code may be in, and prints the places."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import async_to_sync
from django.core.management import BaseCommand
from django.test import AsyncClient, Client

from channelbeat.worker import asend, send


def event(place):
    return {"type": "take", "from": place}


async def in_async_code():
    await asyncio.gather(*(asend("raw", event(f"task {n}")) for n in range(5)))
    await asyncio.to_thread(send, "raw", event("a thread of async code"))
    send("raw", event("sync code in a loop"))
    client = AsyncClient()
    for path in ("sync", "async", "async-cancelled"):
        assert (await client.get(f"/{path}")).status_code == 200


def forked(place):
    child = os.fork()
    if not child:
        send("raw", event(place))
        asyncio.run(asend("raw", event(f"{place}, async")))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


class Command(BaseCommand):
    def handle(self, **options):
        client = Client()
        for path in ("sync", "async", "once", "once", "cancelled"):
            answer = client.get(f"/{path}")
            self.stdout.write(f"{path}: {answer.json()}")
        asyncio.run(in_async_code())
        asyncio.run(in_async_code())  # in another loop
        async_to_sync(asend)("raw", event("async_to_sync"))
        threads = [threading.Thread(target=send, args=("raw", event(f"thread {n}"))) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for n in range(3):
            forked(f"process {n}")
        with ThreadPoolExecutor(4) as pool:
            runs = list(pool.map(lambda _: send("raw", event("four at once"), key="one"), range(20)))
        self.stdout.write(f"one key: {len(set(runs))} run")
