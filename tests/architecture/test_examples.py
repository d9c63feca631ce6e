"""Each example's manifest is right, and each of its events finds the method of a consumer that is to get it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.tree import ROOT

EXAMPLES = sorted(manage.parent for manage in (ROOT / "examples").glob("*/manage.py"))
ROUTED = """
import importlib, runpy, sys
sys.argv = ["manage.py", "version"]
runpy.run_path("manage.py", run_name="__main__")
from channels.routing import get_default_application
from channels.consumer import get_handler_name
channels = get_default_application().application_mapping["channel"].application_mapping
print(all(hasattr(channels[channel].consumer_class, get_handler_name({"type": type_})) for channel, type_ in %r))
"""


def channelbeat(*typed: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "channelbeat", *typed], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("example", [*EXAMPLES, ROOT / "examples/cluster"], ids=lambda path: path.name)
def test_the_manifest_is_valid(example: Path) -> None:
    done = channelbeat("validate", str(example))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_each_event_finds_its_consumer(example: Path) -> None:
    manifests = yaml.safe_load_all((example / "beatschedule.yaml").read_text())
    wanted = [(manifest["spec"]["channel"], event["type"]) for manifest in manifests for event in manifest["spec"]["events"]]
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run([sys.executable, "-c", ROUTED % (wanted,)], cwd=example, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("True\n"), done.stderr


def test_the_beatserver_example_is_what_import_writes() -> None:
    example = ROOT / "examples/beatserver"
    done = channelbeat("import", "beatserver", "beatconfig.py", cwd=example)
    assert (done.returncode, done.stdout) == (0, (example / "beatschedule.yaml").read_text()), done.stderr
