"""`channelbeat`: one file a verb, loaded when it is called, so that a verb needs its own libraries only."""

import sys


def main() -> None:
    """The entry point. A worker's image has not even click."""
    try:
        from channelbeat.cli.root import root  # noqa: PLC0415 - click may be missing
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("channelbeat"):
            raise
        sys.exit(f"channelbeat: {missing.name} is not installed: pip install 'channelbeat[local]'")
    root(prog_name="channelbeat")
