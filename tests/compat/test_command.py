"""The command takes the arguments of the stock one, in its way, and refuses what that refuses; its own options come on top."""

import signal
from typing import Any, NamedTuple

import pytest

from support.runworker import Runworker, Shop
from support.waiting import eventually


class Refused(NamedTuple):
    """Whose exit status, and what it `says`, is the same under both; ours may say more."""

    argv: list[str]
    settings: dict[str, Any]
    status: int
    says: str


REFUSED = {
    "no channel": Refused([], {}, 2, "manage.py runworker: error: the following arguments are required: channels"),
    "an unknown option": Refused(["sync-look", "--threads", "3"], {}, 2, "manage.py runworker: error: unrecognized arguments: --threads"),
    "no layers": Refused(["sync-look"], {"CHANNEL_LAYERS": {}}, 1, "CommandError: You do not have any CHANNEL_LAYERS configured."),
    "no application": Refused(["sync-look"], {"ASGI_APPLICATION": None}, 1, "Cannot find ASGI_APPLICATION setting."),
    "an application that is not there": Refused(["sync-look"], {"ASGI_APPLICATION": "shop.asgi.nothing"}, 1, "Cannot find 'nothing' in ASGI_APPLICATION"),
    "a module that is not there": Refused(["sync-look"], {"ASGI_APPLICATION": "shop.no.app"}, 1, "Cannot import ASGI_APPLICATION module 'shop.no'"),
    "a layer that is not there": Refused(["sync-look", "--layer", "third"], {}, 1, "CommandError: "),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_is_refused(shop: Shop, case: Refused) -> None:
    refused = shop.start(*case.argv, **case.settings)
    assert refused.ends() == case.status
    assert case.says in refused.output


@pytest.mark.parametrize(
    ("argv", "settings"),
    [
        (["--verbosity", "0", "sync-look"], {}),
        (["-v3", "--no-color", "--traceback", "sync-look"], {}),
        (["sync-look", "--force-color", "--settings", "shop.settings", "--pythonpath", "."], {}),
        (["--layer=default", "sync-look", "async-look"], {}),
        (["sync-look"], {"ASGI_APPLICATION": "shop.asgi.stamped"}),
        (["sync-look", "sync-look"], {}),
    ],
    ids=lambda value: " ".join(value) or "plainly",
)
async def test_is_started_with(shop: Shop, argv: list[str], settings: dict[str, Any]) -> None:
    started = shop.start(*argv, **settings)
    before = len(shop.records("sync-look"))
    await shop.send("sync-look", {"type": "look"})
    await shop.recorded("sync-look", before + 1)
    started.kill()


async def test_an_asgi_2_application_on_another_layer(shop: Shop) -> None:
    shop.start("raw", "--layer", "other", ASGI_APPLICATION="shop.asgi.Double")
    await shop.send("raw", {"type": "take", "n": 1}, layer="other")
    assert await shop.recorded("raw", 1) == [["took", {"type": "take", "n": 1}]]


async def test_control_c_ends_an_idle_worker_with_status_0(shop: Shop) -> None:
    worker = await working(shop, "async-look")
    worker.signal(signal.SIGINT)
    assert worker.ends() == 0
    assert "Traceback" not in worker.output


async def test_options_of_ours_are_refused_by_the_stock_command_alone(shop: Shop) -> None:
    options = ["--concurrency", "2", "--drain-timeout", "5s", "--claim", "10s"]
    if shop.flavour == "stock":
        assert shop.start("take", *options).ends() == 2
    else:
        await working(shop, "sync-take", *options)


async def working(shop: Shop, channel: str, *argv: str) -> Runworker:
    """A worker that has handled something."""
    worker = shop.start(channel, *argv)
    before = len(shop.records(channel))
    await shop.send(channel, {"type": "take"})
    await eventually(lambda: len(shop.records(channel)) > before, what=f"a worker of {channel}: {worker.output[-2000:]}")
    return worker
