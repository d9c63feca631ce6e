"""The --layers file: what each setting means, and every fault of it at once, without a secret in any sentence."""

from pathlib import Path
from typing import Any

import pytest

from channelbeat import layers
from channelbeat.broker.layer import check
from channelbeat.core.layer import LayerSettings
from channelbeat.errors import UsageError

URL = "redis://user:hidden@redis:6379/0"


def parse(manifest: Any, url: str | None = None, **files: str) -> tuple[dict[str, LayerSettings], list[str]]:
    def read(name: str) -> str:
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[name]

    return layers.parse(manifest, url=url, refuse=check, read=read)


def faults(settings: Any, **files: str) -> list[str]:
    return parse({"a": settings}, **files)[1]


@pytest.mark.parametrize(
    ("settings", "meant"),
    [
        ({}, {}),
        ({"prefix": "shop"}, {"prefix": "shop"}),
        ({"expiry": "5m"}, {"expiry": 300}),
        ({"expiry": 90}, {"expiry": 90}),
        ({"capacity": 5}, {"capacity": 5}),
        ({"channelCapacity": {"thumb-*": 7}}, {"channel_capacity": {"thumb-*": 7}}),
        ({"encryptionKeys": ["one", "two"]}, {"encryption_keys": ("one", "two")}),
        ({"encryptionKeysFile": "keys"}, {"encryption_keys": ("first", "second")}),
        ({"serializerFormat": "json"}, {"serializer_format": "json"}),
        ({"randomPrefixLength": 0}, {"random_prefix_length": 0}),
        ({"allowedNamespaces": ["shop", "mail"]}, {"allowed_namespaces": ("shop", "mail")}),
    ],
    ids=str,
)
def test_a_setting_means(settings: dict[str, Any], meant: dict[str, Any]) -> None:
    assert parse({"a": {"url": URL, **settings}}, keys="first\nsecond\n") == ({"a": LayerSettings("a", URL, **meant)}, [])


def test_the_url_may_stand_in_a_file_or_be_the_one_of_the_run() -> None:
    assert parse({"a": {"urlFile": "secret"}}, secret=f"{URL}\n")[0]["a"].url == URL
    assert parse({"a": {}}, url="unix:///x")[0]["a"].url == "unix:///x"
    assert parse({"a": None}, url="unix:///x")[0]["a"].url == "unix:///x"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ["a: needs url, or urlFile that names a file with it"]),
        ("text", ["a: must be a map of settings, like {url: redis://HOST:PORT/DB}"]),
        ({"url": 5}, ["a.url: must be a URL, like redis://HOST:PORT/DB"]),
        ({"url": URL, "urlFile": "secret"}, ["a.urlFile: says the same as url: give one of them"]),
        ({"urlFile": "gone"}, ["a.urlFile: gone cannot be read: No such file or directory"]),
        ({"urlFile": "empty"}, ["a.urlFile: empty is empty"]),
        ({"url": URL, "prefix": 5}, ["a.prefix: must be a text, like asgi"]),
        ({"url": URL, "expiry": "1500ms"}, ["a.expiry: must be a length of whole seconds, like 60s or 5m"]),
        ({"url": URL, "expiry": "soon"}, ["a.expiry: must be a length of whole seconds, like 60s or 5m"]),
        ({"url": URL, "expiry": 0}, ["a.expiry: must be a length of whole seconds, like 60s or 5m"]),
        ({"url": URL, "capacity": True}, ["a.capacity: must be a whole number of messages, at least 1"]),
        ({"url": URL, "channelCapacity": {"x": 0}}, ["a.channelCapacity: must be a map of channel patterns to whole numbers, at least 1"]),
        ({"url": URL, "encryptionKeys": "hidden"}, ["a.encryptionKeys: must be a list of texts, the first of which encrypts"]),
        ({"url": URL, "serializerFormat": "pickle"}, ["a.serializerFormat: must be msgpack or json"]),
        ({"url": URL, "randomPrefixLength": -1}, ["a.randomPrefixLength: must be a whole number of bytes, from 0 to 64"]),
        ({"url": URL, "allowedNamespaces": "shop"}, ['a.allowedNamespaces: must be a list of namespaces, or ["*"] for all']),
        ({"url": URL, "prefx": "x"}, ["a.prefx: no such setting: did you mean prefix?"]),
        ({"url": "redis+sentinel://h/0"}, ["a: Redis Sentinel is not supported yet: give the URL of the master, as redis://HOST:PORT/DB"]),
        ({"url": URL, "prefix": ""}, ["a: its prefix '' would let the layer's flush() erase channelbeat's own keys: choose another, such as 'asgi'"]),
    ],
    ids=str,
)
def test_a_fault_is_a_sentence_with_its_path_and_cure(settings: Any, said: list[str]) -> None:
    assert faults(settings, secret=URL, empty="\n") == said


def test_every_fault_at_once_and_no_secret_in_any() -> None:
    manifest = {"a": {"url": URL, "prefix": 5, "expiry": "x"}, "b c": {"url": "hidden://x"}, "d": {"url": ["hidden"], "encryptionKeys": "hidden"}}
    found = parse(manifest)[1]
    assert [fault.partition(":")[0] for fault in found] == ["a.prefix", "a.expiry", "the 2nd layer", "d.url", "d.encryptionKeys"]
    assert "hidden" not in " ".join(found)


def test_secrets_are_not_in_the_settings_as_text() -> None:
    assert "hidden" not in repr(parse({"a": {"url": URL, "encryptionKeys": ["hidden"]}}))


@pytest.mark.parametrize("manifest", [None, [], "text", {}])
def test_anything_but_a_map_of_layers(manifest: Any) -> None:
    assert parse(manifest)[1] == ["must be a map of layer names to their settings, like `default: {url: redis://HOST:PORT/DB}`"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {url: 'redis://:hidden@x", "line 1"),
        ("a: {}\n---\nb: {}\n", "has 2 documents"),
        ("a: {prefix: 5}\nb: {capacity: x}\n", "layers.yaml: a: needs url|layers.yaml: b.capacity"),
        ("", "has 0 documents"),
    ],
)
def test_a_file_that_is_no_layers_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "layers.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as refused:
        layers.read(path, refuse=check)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n  url: *hidden\n", "line 2, column 8: "),
        ("a:\n  url: !hidden x\n", "line 2, column 8: "),
        ("a:\n  url: @hidden\n", "line 2, column 8: "),
        ("a: {url: x, hidden: 1, hidden: 2}", "line 1, column 24: "),
        ("--- hidden\na: {}\n", "line 1: "),
        ("a: {url: redis://h, hidden: 1}", "a: its 2nd setting is none that there is, and is not shown as it may be a secret: there are allowedNamespaces, "),
        ("a: {url: redis://h, 'redis://:hidden@h': }", "a: its 2nd setting is none"),
        ("redis://:hidden@h: {}", "the 1st layer: is no name for a layer"),
        ("a: {urlFile: 'redis://:hidden@h'}", "a.urlFile: the file that it names cannot be read"),
    ],
)
def test_what_may_be_a_secret_is_not_shown_wherever_it_stands(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "layers.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        layers.read(path, refuse=check)
    assert str(refused.value).startswith(f"{path}: {said}")
    assert "hidden" not in str(refused.value)


def test_a_good_file_and_a_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    (tmp_path / "layers.yaml").write_text("default: {urlFile: url, expiry: 2m}\nother: {prefix: other}\n")
    found = layers.read(tmp_path / "layers.yaml", refuse=check, url="unix:///x")
    assert found == {"default": LayerSettings("default", URL, expiry=120), "other": LayerSettings("other", "unix:///x", prefix="other")}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"layers\.yaml cannot be read: No such file"):
        layers.read(tmp_path / "layers.yaml", refuse=check)
