"""`channelbeat operator`"""

import os
import re
from pathlib import Path
from typing import Literal

import click

from channelbeat.cli.parameters import DURATION
from channelbeat.cluster import app
from channelbeat.core.instants import SECOND, Ms
from channelbeat.errors import UsageError
from channelbeat.observability import logs
from channelbeat.observability.address import address

LAYERS = Path("/etc/channelbeat/layers.yaml")
NAMESPACE = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"  # RFC 1123
MAKES_WORKERS = "CHANNELBEAT_WORKERS_CREATE"
LEVELS = ["debug", "info", "warning", "error"]


@click.command("operator")
@click.option("--namespace", "namespaces", metavar="NS", multiple=True, help="Run the schedules of this namespace; may be given several times.")
@click.option("--all-namespaces", is_flag=True, help="Run the schedules of all namespaces. Default: of the one it is in.")
@click.option("--selector", metavar="LABELS", default="", help="Run the schedules with these labels only, as in kubectl get -l.")
@click.option(
    "--layers", type=click.Path(dir_okay=False, path_type=Path), default=LAYERS, show_default=True, help="A YAML map of layer names to their settings."
)
@click.option("--lease", metavar="NAME", default="channelbeat", show_default=True, help="The Lease by which replicas agree who leads.")
@click.option("--lease-namespace", metavar="NS", help="Where it is. Default: the namespace the operator is in.")
@click.option("--lease-duration", type=DURATION, default="3s", show_default=True, help="Unrenewed for so long, another replica takes it.")
@click.option("--lease-renewal", type=DURATION, default="1s", show_default=True, help="How often it is renewed.")
@click.option("--listen", metavar="HOST:PORT", default="0.0.0.0:8080", show_default=True, help="Where /healthz, /readyz and /metrics are.")
@click.option("--log-format", type=click.Choice(["json", "text"]), default="json", show_default=True)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="debug: a line for each run, too.")
@click.option("--status-writes", type=click.FloatRange(min=0.1), default=20.0, show_default=True, help="At most so many writes of status a second.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Outside a cluster. Default: as kubectl finds it.")
@click.option("--context", metavar="NAME", help="Of the kubeconfig. Default: its current one.")
def command(
    namespaces: tuple[str, ...],
    all_namespaces: bool,
    selector: str,
    layers: Path,
    lease: str,
    lease_namespace: str | None,
    lease_duration: Ms,
    lease_renewal: Ms,
    listen: str,
    log_format: Literal["json", "text"],
    log_level: str,
    status_writes: float,
    kubeconfig: Path | None,
    context: str | None,
) -> None:
    """Run the BeatSchedules of a Kubernetes cluster.

    Several replicas may run; one of them leads, and sends what is due. SIGTERM hands over and ends it.
    """
    if namespaces and all_namespaces:
        raise UsageError("--namespace and --all-namespaces contradict each other: give one of them")
    for namespace in namespaces:
        if not re.fullmatch(NAMESPACE, namespace):
            raise UsageError(f"--namespace {namespace!r}: a namespace's name has lower case letters, digits and '-' only, and at most 63 of them")
    if lease_duration < SECOND or lease_renewal * 2 > lease_duration:
        raise UsageError("--lease-duration must be at least 1s, and twice --lease-renewal")
    config = app.Config(
        layers=layers,
        namespaces=None if all_namespaces else namespaces,
        selector=selector,
        lease=lease,
        lease_namespace=lease_namespace,
        lease_duration=lease_duration,
        lease_renewal=lease_renewal,
        listen=address(listen),
        status_writes=status_writes,
        kubeconfig=kubeconfig,
        context=context,
        workers=_makes_workers(),
    )
    with logs.set_up(log_format, log_level):
        app.run(config)


def _makes_workers() -> bool:
    """What the installation's rights allow, so that the chart says it."""
    said = os.environ.get(MAKES_WORKERS, "true")
    if said not in ("true", "false"):
        raise UsageError(f"{MAKES_WORKERS}={said!r}: set it to true or false (or not, which is true)")
    return said == "true"
