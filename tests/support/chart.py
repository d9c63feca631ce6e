"""The chart: helm run on it, what it renders, and its values as people read them.

`PYTHONPATH=tests python -m support.chart` prints the table of values for docs/install.md.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from support.tree import ROOT

CHART: Final = ROOT / "helm/channelbeat"
SCHEMA: Final = json.loads((CHART / "values.schema.json").read_text())
VALUES: Final = yaml.safe_load((CHART / "values.yaml").read_text())
LEAST: Final = yaml.safe_load((CHART / "ci/least.yaml").read_text())
EVERYTHING: Final = yaml.safe_load((CHART / "ci/everything.yaml").read_text())
NAMESPACED: Final = yaml.safe_load((CHART / "ci/namespaced.yaml").read_text())

Values = Mapping[str, Any]


class Helm:
    """Its own files are in `folder`; `kubeconfig` for what speaks to an API server."""

    def __init__(self, program: str, folder: Path, kubeconfig: Path | None = None) -> None:
        self._program = program
        self._environment = os.environ | {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self._environment["KUBECONFIG"] = str(kubeconfig or folder / "none")

    def run(self, *typed: str, values: Values | None = None, fails: bool = False) -> str:
        """What it prints; `fails`: it is to be refused, and the answer is what it complains about."""
        given = [] if values is None else ["--values", "-"]
        done = subprocess.run([self._program, *typed, *given], env=self._environment, input=json.dumps(values), capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, f"helm {' '.join(typed)}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    def render(self, values: Values, *, namespace: str = "beats") -> list[dict[str, Any]]:
        """Of a release called `d`, its tests included; the server is one that knows everything we ask for."""
        return objects(self.run("template", "d", str(CHART), "--namespace", namespace, values=values))

    def refuses(self, values: Values) -> str:
        """Why it does not render these."""
        return self.run("template", "d", str(CHART), values=values, fails=True)


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML readers make what they like, and the API server a refusal."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}{node.start_mark}"
        return super().construct_mapping(node, deep)


def objects(manifest: str) -> list[dict[str, Any]]:
    return [one for one in yaml.load_all(manifest, _Strict) if one]


def only(rendered: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The one of that kind."""
    (found,) = (one for one in rendered if one["kind"] == kind)
    return found


def container(rendered: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = only(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def mount(rendered: list[dict[str, Any]], folder: Path, secret: dict[str, str]) -> Path:
    """The volume as the kubelet makes it, each Secret having these keys."""
    pod = only(rendered, "Deployment")["spec"]["template"]["spec"]
    (volume,) = (one for one in pod["volumes"] if one["name"] == "layers")
    (mounted,) = (one for one in container(rendered)["volumeMounts"] if one["name"] == "layers")
    assert "subPath" not in mounted, "what is mounted by subPath never changes"
    assert f"--layers={mounted['mountPath']}/layers.yaml" in container(rendered)["args"]
    for source in volume["projected"]["sources"]:
        if "configMap" in source:
            files = next(one["data"] for one in rendered if one["kind"] == "ConfigMap" and one["metadata"]["name"] == source["configMap"]["name"])
        else:
            files = {item["path"]: secret[item["key"]] for item in source["secret"]["items"]}
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    return folder


def yaml_blocks(page: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


class Value(NamedTuple):
    name: str  # watch.namespaces
    default: Any
    description: str


def values(schema: Values = SCHEMA, defaults: Values = VALUES, path: str = "") -> Iterator[Value]:
    """Each that can be set; what is passed on to Kubernetes as it is counts as one."""
    for name, inner in schema["properties"].items():
        if "properties" in inner:
            yield from values(inner, defaults[name], f"{path}{name}.")
        elif name in defaults:
            yield Value(f"{path}{name}", defaults[name], inner["description"])


def layer_values() -> Iterator[Value]:
    (layer,) = SCHEMA["properties"]["layers"]["patternProperties"].values()
    for name, inner in layer["properties"].items():
        yield Value(f"layers.NAME.{name}", None, inner["description"])
        for part, leaf in inner.get("properties", {}).items():
            yield Value(f"layers.NAME.{name}.{part}", None, leaf["description"])


def table() -> str:
    """The values, for docs/install.md."""
    lines = ["| value | default | |", "|---|---|---|"]
    for one in (*values(), *layer_values()):
        default = "" if one.default is None else f"`{json.dumps(one.default)}`"
        lines.append(f"| `{one.name}` | {default} | {one.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
