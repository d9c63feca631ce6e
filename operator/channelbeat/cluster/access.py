"""How is the API server reached, and as whom? From inside a pod by what is mounted there, from elsewhere by a kubeconfig."""

import base64
import hashlib
import json
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import kopf

from channelbeat.cluster import kubeconfig as kubeconfigs
from channelbeat.cluster.kubeconfig import Login
from channelbeat.errors import UsageError

MOUNTED: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
AT_HOME: Final = ".kube/config"


@dataclass(frozen=True, slots=True)
class Access:
    """`server` is a URL without a path at its end; `namespace` the pod's own, or the one of the kubeconfig's context; `account` the uid of
    the ServiceAccount whose token is mounted here, or "". `again` reads it anew, from where it came."""

    server: str
    namespace: str
    account: str
    again: Callable[[], "Access"] = field(repr=False, compare=False)
    _shown: kopf.ConnectionInfo = field(repr=False)

    def fresh(self) -> "Access":
        """The same, read again: tokens and certificates are replaced while we run. UsageError when it is not there any more.
        Reads files, and may wait for a credential plugin: not for the event loop."""
        return self.again()

    def for_kopf(self) -> kopf.ConnectionInfo:
        """What a login handler of kopf's answers."""
        return self._shown

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy between, which is an HTTP one."""
        return self._shown.proxy_url

    def headers(self) -> dict[str, str]:
        """What each request shows."""
        return dict(self._shown.as_http_headers())

    def ssl_context(self) -> ssl.SSLContext:
        """What each connection trusts and shows. UsageError when a certificate or key cannot be read."""
        try:
            return self._shown.as_ssl_context()
        except (OSError, ValueError) as error:
            raise UsageError(f"the certificates for {self.server} cannot be used: {error}") from None


def find(kubeconfig: Path | None = None, context: str | None = None, *, mounted: Path = MOUNTED, environ: Mapping[str, str] = os.environ) -> Access:
    """A file or context that is named comes first, then the pod we are in, then $KUBECONFIG, then ~/.kube/config. UsageError when there is
    none of them, or it is of no use. May wait for a credential plugin."""
    if kubeconfig is None and context is None and (host := environ.get("KUBERNETES_SERVICE_HOST")):
        if (mounted / "token").exists():
            return in_pod(host, environ.get("KUBERNETES_SERVICE_PORT") or "443", mounted)
        if not environ.get("KUBECONFIG"):
            raise UsageError(f"this pod has no token of its ServiceAccount in {mounted}: set automountServiceAccountToken, or give --kubeconfig")
    if kubeconfig is not None:
        paths = [kubeconfig]
    elif listed := [Path(name).expanduser() for name in environ.get("KUBECONFIG", "").split(os.pathsep) if name]:
        paths = listed
    else:
        paths = [Path(environ.get("HOME") or "~").expanduser() / AT_HOME]
    return of(lambda: kubeconfigs.read(paths, context))


def in_pod(host: str, port: str, mounted: Path = MOUNTED) -> Access:
    """By address: no DNS is needed."""
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"

    def read() -> Login:
        try:
            token = (mounted / "token").read_text().strip()
            namespace = (mounted / "namespace").read_text().strip() if (mounted / "namespace").exists() else "default"
        except OSError as error:
            raise UsageError(f"the token of our ServiceAccount in {mounted} cannot be read: {error.strerror}") from None
        ca = mounted / "ca.crt"
        return Login(server=server, default_namespace=namespace, ca_path=str(ca) if ca.exists() else None, token=token)

    return of(read, pod=True)


def of(read: Callable[[], Login], *, pod: bool = False) -> Access:
    """`read` is called now, and again for each `fresh()`; `pod`: its token is the one mounted in the pod we are in."""
    login = read()
    account = _account(login.token or "") if pod else ""
    return Access(login.server, login.default_namespace, account, lambda: of(read, pod=pod), kopf.ConnectionInfo(**asdict(login)))


def owner(access: Access, lease: str) -> str:
    """Who we are to Redis: the same for all replicas and versions of one installation, another one for each other. `lease` is its Lease,
    as NAMESPACE/NAME."""
    return access.account or hashlib.blake2b(f"{access.server} {lease}".encode(), digest_size=16).hexdigest()


def _account(token: str) -> str:
    """The ServiceAccount's uid, as its token claims; "" for a token that claims none."""
    try:
        payload = token.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if "kubernetes.io" in claims:
            return str(claims["kubernetes.io"]["serviceaccount"]["uid"])
        return str(claims["kubernetes.io/serviceaccount/service-account.uid"])  # one that never expires, from a Secret
    except (ValueError, LookupError, TypeError):
        return ""
