"""APScheduler with N jobs of `* * * * *`, each a layer.send; without a misfire grace time, as anyone sets it who has lost runs to it."""

import asyncio
import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from channels.layers import get_channel_layer


async def main() -> None:
    layer = get_channel_layer()

    async def fire(number: int) -> None:
        await layer.send(f"channel-{number // 100 % 100}", {"type": "test.print", "message": {"i": number}})

    scheduler = AsyncIOScheduler()
    for number in range(int(os.environ["N"])):
        scheduler.add_job(fire, CronTrigger(minute="*"), args=(number,), misfire_grace_time=None, id=str(number))
    scheduler.start()
    await asyncio.Event().wait()


asyncio.run(main())
