"""What is left of a connection to the API server when we have no more use for it?"""

from contextlib import aclosing

import psutil

from channelbeat.cluster import access
from channelbeat.cluster.api import Api
from support.cluster import ControlPlane
from support.waiting import eventually


async def test_a_watch_that_is_given_up_while_the_server_hangs_leaves_no_connection(own_kube: ControlPlane) -> None:
    """Which would wait for the server to say goodbye."""
    reached = access.find(own_kube.kubeconfig)
    port = int(own_kube.url.rpartition(":")[2])

    def connections() -> list[object]:
        return [one for one in psutil.Process().net_connections() if one.status == psutil.CONN_ESTABLISHED and one.raddr.port == port]

    before = len(connections())
    api = Api(reached)
    async with aclosing(api.watch("/api/v1/namespaces/default/configmaps", since="")) as events:
        await anext(events)
        own_kube.server.freeze()
        assert len(connections()) > before
    await eventually(lambda: len(connections()) == before)
    await api.close()
    own_kube.server.thaw()
