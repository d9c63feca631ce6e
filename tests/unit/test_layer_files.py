"""The layers file and those it names, as Kubernetes mounts them, while they change: what counts, and what is told of it."""

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from channelbeat.cluster.layer_files import FAULTY_FOR, LayerFiles
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import LayerRefused, UsageError
from support.waiting import eventually

SECRET = "redis://user:hidden@redis:6379/0"
ONE = "default: {urlFile: default-url}"


class Mounted:
    """A Secret as the kubelet mounts it: the files are links into `..data`, which is swapped for another folder at once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._number = folder, 0

    @property
    def layers(self) -> Path:
        return self.folder / "layers.yaml"

    def write(self, **files: str) -> None:
        """`layers_yaml`, `default_url` and the like."""
        self._number += 1
        data = self.folder / f"..2026_{self._number}"
        data.mkdir()
        for word, text in files.items():
            name = word.replace("layers_yaml", "layers.yaml").replace("_", "-")
            (data / name).write_text(text)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        (self.folder / "..data_tmp").symlink_to(data.name)
        os.replace(self.folder / "..data_tmp", self.folder / "..data")


class Changes:
    """What was called with; `refuses`: the next ones."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, LayerSettings]] = []
        self.refuses = False

    def __call__(self, layers: Mapping[str, LayerSettings]) -> None:
        if self.refuses:
            raise LayerRefused("layer 'new': RedisChannelLayer refuses its options")
        self.seen.append(layers)


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    mounted = Mounted(tmp_path)
    mounted.write(layers_yaml=ONE, default_url=SECRET)
    return mounted


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def files(mounted: Mounted, changes: Changes) -> LayerFiles:
    files = LayerFiles(mounted.layers, changed=changes, every=0.01)
    files.read()
    return files


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "channelbeat.layers")
    return caplog


async def look(files: LayerFiles, times: int = FAULTY_FOR + 1) -> None:
    for _ in range(times):
        await files.look()


def test_at_the_start_every_fault_is_told_and_nothing_is_followed(mounted: Mounted) -> None:
    mounted.write(layers_yaml="default: {urlFile: default-url, capacity: 0}\nother: {}", default_url="nonsense")
    with pytest.raises(UsageError) as error:
        LayerFiles(mounted.layers, changed=Changes()).read()
    assert {line.split(": ")[1] for line in str(error.value).splitlines()} == {"default.capacity", "other"}


async def test_nothing_is_told_while_nothing_changes(files: LayerFiles, mounted: Mounted, changes: Changes, told: pytest.LogCaptureFixture) -> None:
    await look(files)
    mounted.write(layers_yaml=f"# the same\n{ONE}", default_url=f"{SECRET}\n")
    await look(files)
    assert (changes.seen, told.text) == ([], "")


async def test_a_password_that_is_rotated_in_the_file_that_the_layers_file_names(
    files: LayerFiles, mounted: Mounted, changes: Changes, told: pytest.LogCaptureFixture
) -> None:
    mounted.write(layers_yaml=ONE, default_url="redis://user:rotated@redis:6379/0")
    await look(files)
    assert [layers["default"].url for layers in changes.seen] == ["redis://user:rotated@redis:6379/0"]
    assert told.messages == ["the layers have changed: default is with other settings"]


async def test_what_is_new_changed_and_gone_is_told_by_name(files: LayerFiles, mounted: Mounted, changes: Changes, told: pytest.LogCaptureFixture) -> None:
    mounted.write(layers_yaml=f"{ONE}\nold: {{url: {SECRET}, prefix: old}}", default_url=SECRET)
    await look(files)
    mounted.write(
        layers_yaml=f"default: {{urlFile: default-url, capacity: 5}}\na: {{url: {SECRET}, prefix: a}}\nb: {{url: {SECRET}, prefix: b}}", default_url=SECRET
    )
    await look(files)
    assert [*changes.seen[-1]] == ["default", "a", "b"]
    assert told.messages == ["the layers have changed: old is new", "the layers have changed: a, b are new; default is with other settings; old is gone"]
    assert "hidden" not in told.text


@pytest.mark.parametrize(
    ("files_then", "what"),
    [
        ({"layers_yaml": "default: {urlFile: nowhere}", "default_url": SECRET}, "nowhere cannot be read"),
        ({"layers_yaml": ONE, "default_url": ""}, "default-url is empty"),
        ({"layers_yaml": ONE, "default_url": "redis://user:hidden@one,two/0"}, "several hosts"),
        ({"layers_yaml": "default: [hidden", "default_url": SECRET}, "layers.yaml"),
        ({"layers_yaml": "", "default_url": SECRET}, "layers.yaml"),
        ({"default_url": SECRET}, "cannot be read"),
    ],
    ids=["a file it names is missing", "one is empty", "a URL is refused", "no YAML", "nothing", "it is missing itself"],
)
async def test_a_faulty_state_is_told_once_and_the_former_stays(
    files: LayerFiles, mounted: Mounted, changes: Changes, told: pytest.LogCaptureFixture, files_then: dict[str, str], what: str
) -> None:
    mounted.write(**files_then)
    await look(files, 10)
    assert changes.seen == []
    (said,) = told.messages
    assert "the layers stay as they were" in said
    assert what in said
    assert "hidden" not in said
    mounted.write(layers_yaml=ONE, default_url=SECRET)
    await look(files, 10)
    assert told.messages[1:] == ["the layers' files can be used again"]
    assert changes.seen == []


async def test_another_fault_is_told_too(files: LayerFiles, mounted: Mounted, told: pytest.LogCaptureFixture) -> None:
    for url in ("redis://one,two/0", "ftp://redis/0"):
        mounted.write(layers_yaml=ONE, default_url=url)
        await look(files)
    assert ["several hosts" in said for said in told.messages] == [True, False]
    assert "unknown scheme" in told.messages[1]


async def test_what_is_missing_for_a_moment_is_no_fault(files: LayerFiles, mounted: Mounted, changes: Changes, told: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        mounted.layers.unlink()
        await files.look()
        mounted.layers.symlink_to("..data/layers.yaml")
        mounted.write(layers_yaml=f"default: {{urlFile: default-url, capacity: {number + 1}}}", default_url=SECRET)
        await files.look()
    assert [layers["default"].capacity for layers in changes.seen] == [1, 2, 3, 4, 5]
    assert told.messages == ["the layers have changed: default is with other settings"] * 5


async def test_half_of_one_state_and_half_of_the_next_is_never_used(files: LayerFiles, mounted: Mounted, changes: Changes) -> None:
    mounted.write(layers_yaml="default: {urlFile: default-url, capacity: 1}")
    slow = mounted.folder / "..data" / "default-url"
    os.mkfifo(slow)  # it is read until somebody has written
    slow = slow.resolve()
    looking = asyncio.create_task(files.look())
    pipe = await asyncio.to_thread(os.open, slow, os.O_WRONLY)  # the first half has been read
    mounted.write(layers_yaml="default: {urlFile: default-url, capacity: 2}", default_url="redis://redis:6379/2")
    os.write(pipe, b"redis://redis:6379/2")
    os.close(pipe)
    await looking
    await files.look()
    assert [(layers["default"].capacity, layers["default"].url) for layers in changes.seen] == [(2, "redis://redis:6379/2")]


async def test_options_that_only_the_layer_itself_refuses(files: LayerFiles, changes: Changes, told: pytest.LogCaptureFixture) -> None:
    changes.refuses = True
    files._layers = {}
    await look(files)
    assert "RedisChannelLayer refuses its options" in told.messages[0]
    changes.refuses = False
    await look(files)
    assert [*changes.seen[0]] == ["default"]


async def test_it_follows_until_it_is_cancelled(files: LayerFiles, mounted: Mounted, changes: Changes) -> None:
    following = asyncio.create_task(files.run())
    for capacity in (7, 8):
        mounted.write(layers_yaml=f"default: {{urlFile: default-url, capacity: {capacity}}}", default_url=SECRET)
        await eventually(lambda capacity=capacity: changes.seen and changes.seen[-1]["default"].capacity == capacity)  # type: ignore[misc]
    following.cancel()
    assert await asyncio.gather(following, return_exceptions=True)
