"""What does a kubeconfig say? Read as kubectl reads it: of several files the first to name a thing counts, paths begin at their own file,
and a credential plugin (`exec`) is run for what it prints. Knows no library."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from channelbeat import documents
from channelbeat.errors import UsageError

PLUGIN: Final = 30.0  # seconds a credential plugin may take
CANNOT: Final = {
    "auth-provider": "which Kubernetes gave up in 1.26: use its successor, a credential plugin (`exec`), or a token",
    "as": "somebody else (`as`): name a context of that user's own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A server and what to show it. Certificates and keys: the path of a PEM file, or their data (PEM, or that in base64), or neither."""

    server: str
    default_namespace: str = "default"
    ca_path: str | None = None
    ca_data: str | None = None
    insecure: bool = False
    token: str | None = None
    username: str | None = None
    password: str | None = None
    certificate_path: str | None = None
    certificate_data: str | None = None
    private_key_path: str | None = None
    private_key_data: str | None = None
    proxy_url: str | None = None


def read(paths: Sequence[Path], context: str | None = None) -> Login:
    """Of the `context`, or of the current one. Files that do not exist are passed over, but one has to. May take as long as a plugin does.
    UsageError says which file, what is wrong, and the cure."""
    existing = [path for path in paths if path.exists()]
    if not existing:
        raise UsageError(f"there is no kubeconfig {' or '.join(map(str, paths))}: name one with --kubeconfig, or in $KUBECONFIG")
    return _Config(existing).login(context)


class _Config:
    """Several files as one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._name = os.pathsep.join(map(str, paths))
        self._current = ""
        self._named: dict[tuple[str, str], tuple[Path, Mapping[str, Any]]] = {}
        for path in paths:
            config = _load(path)
            self._current = self._current or str(config.get("current-context") or "")
            for kind in ("context", "cluster", "user"):
                for item in config.get(f"{kind}s") or []:
                    self._named.setdefault((kind, str(item["name"])), (path.parent, item.get(kind) or {}))

    def login(self, context: str | None) -> Login:
        name = context or self._current
        if not name:
            raise UsageError(f"{self._name} has no current context: choose one with --context, or with `kubectl config use-context`")
        _, chosen = self._find("context", name)
        home, cluster = self._find("cluster", str(chosen.get("cluster")))
        if not cluster.get("server"):
            raise UsageError(f"{self._name}: cluster {chosen.get('cluster')} has no server")
        if cluster.get("tls-server-name"):
            raise UsageError(
                f"{self._name}: cluster {chosen.get('cluster')} has a tls-server-name, which is not supported: name the server as its certificate does"
            )
        user = self._user(str(chosen["user"]), cluster) if chosen.get("user") else {}
        ca_path, ca_data = _file_or_data(cluster, "certificate-authority", home)
        return Login(
            server=str(cluster["server"]).rstrip("/"),
            default_namespace=str(chosen.get("namespace") or "default"),
            ca_path=ca_path,
            ca_data=ca_data,
            insecure=cluster.get("insecure-skip-tls-verify") is True,
            proxy_url=cluster.get("proxy-url") or None,
            **user,
        )

    def _user(self, name: str, cluster: Mapping[str, Any]) -> dict[str, str | None]:
        """What is shown to the server."""
        home, user = self._find("user", name)
        for field, what in CANNOT.items():
            if user.get(field):
                raise UsageError(f"{self._name}: user {name} logs in by {field}, {what}" if field != "as" else f"{self._name}: user {name} plays {what}")
        certificate_path, certificate_data = _file_or_data(user, "client-certificate", home)
        key_path, key_data = _file_or_data(user, "client-key", home)
        shown: dict[str, str | None] = {
            "token": _token(user, home),
            "username": user.get("username"),
            "password": user.get("password"),
            "certificate_path": certificate_path,
            "certificate_data": certificate_data,
            "private_key_path": key_path,
            "private_key_data": key_data,
        }
        if user.get("exec") and not any(shown.values()):
            shown |= _plugin(f"{self._name}: user {name}", user["exec"], cluster, home)
        return shown

    def _find(self, kind: str, name: str) -> tuple[Path, Mapping[str, Any]]:
        try:
            return self._named[kind, name]
        except KeyError:
            known = ", ".join(sorted(n for k, n in self._named if k == kind)) or "none"
            raise UsageError(f"{self._name} has no {kind} {name!r}: there is {known}") from None


def _load(path: Path) -> Mapping[str, Any]:
    found = documents.values(path)
    value = found[0] if found else {}
    lists = [value.get(kind) or [] for kind in ("contexts", "clusters", "users")] if isinstance(value, Mapping) else [None]
    if not all(isinstance(items, list) and all(isinstance(item, Mapping) and "name" in item for item in items) for items in lists):
        raise UsageError(f"{path} is no kubeconfig: it needs lists of named contexts, clusters and users")
    return value


def _file_or_data(entry: Mapping[str, Any], field: str, home: Path) -> tuple[str | None, str | None]:
    """Data wins over a file, as with kubectl."""
    if data := entry.get(f"{field}-data"):
        return None, str(data)
    return (str(home / str(entry[field])), None) if entry.get(field) else (None, None)


def _token(user: Mapping[str, Any], home: Path) -> str | None:
    """A file wins: its content may change."""
    if name := user.get("tokenFile"):
        try:
            return (home / str(name)).read_text().strip()
        except OSError as error:
            raise UsageError(f"the token file {home / str(name)} cannot be read: {error.strerror}") from None
    return str(user["token"]) if user.get("token") else None


def _plugin(who: str, plugin: Mapping[str, Any], cluster: Mapping[str, Any], home: Path) -> dict[str, str | None]:
    """What a credential plugin prints: client.authentication.k8s.io/v1 or v1beta1."""
    command = str(plugin.get("command") or "")
    program = str(home / command) if os.sep in command else command
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = {field: cluster[field] for field in ("server", "certificate-authority-data", "insecure-skip-tls-verify") if field in cluster}
    asked = {"kind": "ExecCredential", "apiVersion": plugin.get("apiVersion"), "spec": spec}
    more = {str(one["name"]): str(one["value"]) for one in plugin.get("env") or []}
    environment = {**os.environ, **more, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
    try:
        done = subprocess.run(
            [program, *map(str, plugin.get("args") or [])],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PLUGIN,
            check=True,
        )
        status = json.loads(done.stdout)["status"]
        return {"token": status.get("token"), "certificate_data": status.get("clientCertificateData"), "private_key_data": status.get("clientKeyData")}
    except FileNotFoundError:
        hint = str(plugin.get("installHint") or "").strip()
        raise UsageError(f"{who} logs in by {command}, which is not on this machine: install it{f' ({hint})' if hint else ''}") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"{who} logs in by {command}, which did not end within {PLUGIN:g} s: try it by hand") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()
        raise UsageError(f"{who} logs in by {command}, which failed with {error.returncode}: {said[-1] if said else 'it said nothing'}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{who} logs in by {command}, which printed no ExecCredential with a status: try it by hand") from None
