"""What is asked of the API server is what was meant, whatever somebody wrote for a name."""

import re
from typing import Any, Final

import kopf
import pytest

from channelbeat.cluster.access import Access
from channelbeat.cluster.answers import is_one
from channelbeat.cluster.api import Api, path_of
from channelbeat.errors import ApiRefused, ApiUnreachable

ALL: Final = "/apis/apps/v1/namespaces/shop/deployments"


@pytest.mark.parametrize(
    ("name", "path"),
    [("web", "web"), ("web.v2-1", "web.v2-1"), ("...", "..."), ("?x", "%3Fx"), ("#", "%23"), ("a b", "a%20b"), ("a\n", "a%0A"), ("ä", "%C3%A4")],
)
def test_a_name_is_one_step_of_a_path(name: str, path: str) -> None:
    assert path_of(ALL, name) == f"{ALL}/{path}"


@pytest.mark.parametrize("name", ["", ".", "..", "../deployments", "web/scale", "web%2Fscale", "%2e%2e"])
def test_a_name_that_no_object_can_have_has_no_path(name: str) -> None:
    with pytest.raises(ApiRefused, match=re.escape(f"nothing in {ALL} can be called {name!r}")) as refused:
        path_of(ALL, name)
    assert refused.value.status == 404


@pytest.mark.parametrize("path", [f"{ALL}/.", f"{ALL}/..", f"{ALL}/../deployments", f"{ALL}/../scale", f"{ALL}/%2e%2E", f"{ALL}/..%2Fx"])
async def test_a_path_that_leads_elsewhere_is_not_asked(path: str) -> None:
    server = "http://127.0.0.1:1"
    access = Access(server, "shop", "", lambda: access, kopf.ConnectionInfo(server=server))
    api = Api(access)
    try:
        with pytest.raises(ApiRefused, match="is not asked: no object has a name like that") as refused:
            await api.get(path)
        assert refused.value.status == 404
        with pytest.raises(ApiUnreachable):
            await api.get(f"{ALL}/web..v2.")
    finally:
        await api.close()


METADATA: Final = {"namespace": "shop", "name": "web"}


@pytest.mark.parametrize(
    ("what", "answer", "is_it"),
    [
        ("it", {"kind": "Deployment", "metadata": METADATA}, True),
        ("another", {"kind": "Deployment", "metadata": METADATA | {"name": "web2"}}, False),
        ("of another namespace", {"kind": "Deployment", "metadata": METADATA | {"namespace": "other"}}, False),
        ("its scale", {"kind": "Scale", "metadata": METADATA}, False),
        ("a list", {"kind": "DeploymentList", "metadata": {"resourceVersion": "1"}, "items": []}, False),
        ("of no namespace", {"kind": "Deployment", "metadata": {"name": "web"}}, False),
        ("without metadata", {"kind": "Deployment"}, False),
        ("with strange metadata", {"kind": "Deployment", "metadata": []}, False),
        ("nothing", {}, False),
    ],
)
def test_is_it_what_was_asked_for(what: str, answer: dict[str, Any], is_it: bool) -> None:
    assert is_one(answer, "Deployment", "shop/web") == is_it, what
