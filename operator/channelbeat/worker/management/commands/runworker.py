"""`manage.py runworker CHANNEL...`: the stock command with the same arguments, and a worker behind it that loses nothing."""

import argparse
import logging
import os
import re
import sys
import threading
from typing import Any, Final

from channels.layers import channel_layers
from channels.management.commands import runworker
from channels.routing import get_default_application
from django.core.management import CommandError

from channelbeat import heartbeat
from channelbeat.core.instants import HOUR, MINUTE, SECOND, Ms
from channelbeat.worker import link
from channelbeat.worker.worker import TAIL, Worker

logger: Final = logging.getLogger("django.channels.worker")
_LENGTH: Final = re.compile(r"(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def length(text: str) -> Ms:
    """Of time: `30s`, `1h30m`."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write it like 30s, 5m or 1h30m")
    return sum(int(number or 0) * unit for number, unit in zip(found.groups(), (HOUR, MINUTE, SECOND, 1), strict=True))


def at_least(least: int, shown: str, read: Any = int, most: int | None = None) -> Any:
    def value(text: str) -> int:
        try:
            found: int = read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if found < least:
            raise argparse.ArgumentTypeError(f"{text!r} is too small: {shown} is the least")
        if most is not None and found > most:
            raise argparse.ArgumentTypeError(f"{text!r} is too much: {most} is the most")
        return found

    return value


class Command(runworker.Command):
    help = "Handle what is sent to channels, the first of them first."
    worker_class = Worker  # type: ignore[assignment]  # not a kind of theirs

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--concurrency", metavar="N", type=at_least(1, "1", most=256), default=1, help="Messages handled at the same time; default 1.")
        parser.add_argument(
            "--drain-timeout",
            metavar="DURATION",
            type=at_least(0, "0s", length),
            default="10m",
            help="How long what is under way may go on after SIGTERM; default 10m. What is not done by then is given back.",
        )
        parser.add_argument(
            "--claim",
            metavar="DURATION",
            type=at_least(5 * SECOND, "5s", length),
            default="30s",
            help="After how long a worker that is not heard of loses its runs to another; default 30s.",
        )
        parser.add_argument("--check", action="store_true", help="Only say whether such a worker is alive on this machine, by the exit status.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.verbosity = options.get("verbosity", 1)
        channels, alias = options["channels"], options["layer"]
        if options["check"]:
            if (dead := heartbeat.fault(channels, alias)) is not None:
                raise CommandError(dead)
            return
        self.channel_layer = _layer(alias)
        for channel in channels:
            if (fault := link.channel_fault(self.channel_layer, channel)) is not None:
                raise CommandError(fault)
        application = get_default_application()
        for ours in (logger, logging.getLogger("channelbeat.worker")):
            ours.disabled = False  # an asgi.py that calls django.setup() once more has LOGGING silence the loggers that were there before
        logger.info("Running worker for channels %s", channels)
        worker = self.worker_class(
            application,
            channels,
            self.channel_layer,
            alias,
            concurrency=options["concurrency"],
            claim=options["claim"],
            drain=options["drain_timeout"],
        )
        status = worker.run()
        late = threading.Timer(TAIL, os._exit, (status,))  # Python waits for threads that consumers began, and some never end
        late.daemon = True
        late.start()
        if status:
            sys.exit(status)


def _layer(alias: str) -> Any:
    if not channel_layers.configs:
        raise CommandError("You do not have any CHANNEL_LAYERS configured.")
    if alias not in channel_layers:
        raise CommandError(f"CHANNEL_LAYERS has no {alias!r}: it has {', '.join(map(repr, sorted(channel_layers.configs)))}")
    layer: Any = channel_layers[alias]
    if (fault := link.fault(layer)) is not None:
        raise CommandError(f"CHANNEL_LAYERS[{alias!r}]: {fault}")
    return layer
