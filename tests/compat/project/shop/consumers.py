"""Consumers as people write them after Channels' documentation."""

import asyncio
import os
import sys
import threading

import redis
from asgiref.sync import async_to_sync, sync_to_async
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.layers import get_channel_layer
from django.db import transaction

from shop.models import Note
from shop.recording import record


class GenerateConsumer(SyncConsumer):
    def generate(self, message):
        record(self.scope["channel"], "generated", message["id"])
        async_to_sync(self.channel_layer.send)("thumbnails-delete", {"type": "delete", "id": message["id"]})


class DeleteConsumer(AsyncConsumer):
    async def delete(self, message):
        record(self.scope["channel"], "deleted", message["id"])


class PrintConsumer(SyncConsumer):
    def test_print(self, message):
        print("Test: " + message["text"], flush=True)
        record(self.scope["channel"], "printed", message["text"])


def facts(consumer):
    return {
        "scope": consumer.scope,
        "channel_name": consumer.channel_name.partition("!")[0][:9],
        "its layer": consumer.channel_layer is get_channel_layer(consumer.channel_layer_alias),
        "in the main thread": threading.current_thread() is threading.main_thread(),
    }


class Sync(SyncConsumer):
    handled = 0

    def look(self, message):
        record(self.scope["channel"], "looked", facts(self))

    def take(self, message):
        record(self.scope["channel"], "took", message)

    def long_dotted_type(self, message):
        record(self.scope["channel"], "dotted", message)

    def count(self, message):
        self.handled += 1
        record(self.scope["channel"], "count", self.handled)

    def thread(self, message):
        record(self.scope["channel"], "thread", threading.get_ident())

    def answer(self, message):
        self.send({"type": "answer"})

    def stop(self, message):
        raise StopConsumer

    def leave(self, message):
        sys.exit(3)

    def fail(self, message):
        raise RuntimeError(message["text"])

    def note(self, message):
        with transaction.atomic():
            Note.objects.create(text=message["text"])
        record(self.scope["channel"], "notes", Note.objects.filter(text=message["text"]).count())

    def reply(self, message):
        async_to_sync(self.channel_layer.send)(message["to"], {"type": "reply", "text": message["text"]})

    def join(self, message):
        async_to_sync(self.channel_layer.group_add)(message["group"], self.channel_name)
        record(self.scope["channel"], "joined")

    def tell(self, message):
        async_to_sync(self.channel_layer.group_send)(message["group"], {"type": "news", "text": message["text"]})

    def news(self, message):
        record(self.scope["channel"], "news", message)

    def leave_group(self, message):
        async_to_sync(self.channel_layer.group_discard)(message["group"], self.channel_name)
        record(self.scope["channel"], "left")

    def down(self, message):
        """Sends to the channel it came from."""
        record(self.scope["channel"], "down", message["n"])
        if message["n"]:
            async_to_sync(self.channel_layer.send)(self.scope["channel"], {"type": "down", "n": message["n"] - 1})

    def wait(self, message):
        """Until the test opens the gate."""
        record(self.scope["channel"], "waits", message["n"])
        with redis.Redis.from_url(os.environ["REDIS"], socket_timeout=None) as gate:
            gate.blpop(["gate"], 30)
        record(self.scope["channel"], "waited", message["n"])


class Async(AsyncConsumer):
    handled = 0

    async def look(self, message):
        record(self.scope["channel"], "looked", facts(self))

    async def take(self, message):
        record(self.scope["channel"], "took", message)

    async def long_dotted_type(self, message):
        record(self.scope["channel"], "dotted", message)

    async def count(self, message):
        self.handled += 1
        record(self.scope["channel"], "count", self.handled)

    async def thread(self, message):
        record(self.scope["channel"], "thread", await sync_to_async(threading.get_ident)())

    async def answer(self, message):
        await self.send({"type": "answer"})

    async def stop(self, message):
        raise StopConsumer

    async def leave(self, message):
        sys.exit(3)

    async def fail(self, message):
        raise RuntimeError(message["text"])

    async def note(self, message):
        await database_sync_to_async(Note.objects.create)(text=message["text"])
        record(self.scope["channel"], "notes", await Note.objects.filter(text=message["text"]).acount())

    async def reply(self, message):
        await self.channel_layer.send(message["to"], {"type": "reply", "text": message["text"]})

    async def join(self, message):
        await self.channel_layer.group_add(message["group"], self.channel_name)
        record(self.scope["channel"], "joined")

    async def tell(self, message):
        await self.channel_layer.group_send(message["group"], {"type": "news", "text": message["text"]})

    async def news(self, message):
        record(self.scope["channel"], "news", message)

    async def leave_group(self, message):
        await self.channel_layer.group_discard(message["group"], self.channel_name)
        record(self.scope["channel"], "left")

    async def down(self, message):
        """Sends to the channel it came from."""
        record(self.scope["channel"], "down", message["n"])
        if message["n"]:
            await self.channel_layer.send(self.scope["channel"], {"type": "down", "n": message["n"] - 1})

    async def later(self, message):
        """Work that goes on beside the next messages."""

        async def work():
            await asyncio.sleep(0.01)
            record(self.scope["channel"], "later", message["n"])

        self.work = asyncio.create_task(work())
        record(self.scope["channel"], "now", message["n"])


class Sized(SyncConsumer):
    """With arguments from as_asgi()."""

    def __init__(self, size):
        self.size = size

    def measure(self, message):
        record(self.scope["channel"], "size", self.size)


class OnOther(SyncConsumer):
    channel_layer_alias = "other"

    def look(self, message):
        record(self.scope["channel"], "looked", facts(self))
