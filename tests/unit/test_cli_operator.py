"""What `channelbeat operator` refuses before it begins."""

import pytest

from channelbeat.cli.operator_ import command
from channelbeat.errors import UsageError


@pytest.mark.parametrize("namespace", ["Shop", "shop_a", "-shop", "shop.a", "", "s" * 64, "shop\n"])
def test_a_namespace_that_cannot_be(namespace: str) -> None:
    with pytest.raises(UsageError) as refused:
        command.main(["--namespace", "shop", "--namespace", namespace], standalone_mode=False)
    assert str(refused.value).startswith(f"--namespace {namespace!r}: a namespace's name has lower case letters")
