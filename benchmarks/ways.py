"""The workers that are compared, each as its users start it."""

import sys
from dataclasses import replace

from benchmarks.crew import Way
from benchmarks.sources import Channel, Tasks
from benchmarks.venvs import program

CLAIM = 30
"""Seconds until a vanished worker's run is given to another."""


def _runworker(channel: str, processes: int) -> list[list[str]]:
    return [[sys.executable, "-m", "django", "runworker", channel, "--settings", "benchmarks.project.settings"]] * processes


def _four_slots(channel: str, processes: int) -> list[list[str]]:
    return [[*command, "--concurrency", "4"] for command in _runworker(channel, processes)]


def _celery(processes: int, pool: str, concurrency: int) -> list[list[str]]:
    command = [program("celery", "celery"), "-A", "celery_worker", "worker", "-l", "ERROR", "-P", pool, "-c", str(concurrency)]
    return [[*command, "--without-gossip", "--without-mingle", "--without-heartbeat", "-n", f"worker-{number}"] for number in range(processes)]


def _prefork(_channel: str, processes: int) -> list[list[str]]:
    return _celery(1, "solo" if processes == 1 else "prefork", processes)


def _solo(_channel: str, processes: int) -> list[list[str]]:
    return _celery(processes, "solo", 1)


STOCK = Way("stock runworker", "stock", lambda url, channel: Channel(url, channel, tracked=False), _runworker)
PLAIN = replace(STOCK, name="channelbeat, plain messages", peer="channelbeat")
TRACKED = replace(PLAIN, name="channelbeat, AtLeastOnce", source=lambda url, channel: Channel(url, channel, tracked=True), patience=60)
TRACKED_FOUR = replace(TRACKED, name="AtLeastOnce, --concurrency 4", commands=_four_slots)
CELERY = Way("Celery, acks_late", "celery", lambda url, _channel: Tasks(url), _prefork)
CELERY_APART = replace(CELERY, commands=_solo, patience=150, environment=(("VISIBILITY", str(CLAIM)),))
