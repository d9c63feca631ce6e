"""`python -m benchmarks [NAME...] [--quick]`: measure, and print the tables of docs/benchmarks.md."""

import argparse
from collections.abc import Callable, Iterable

from benchmarks import bursts, cluster, loading, queue, rates, shares, steady, workers
from benchmarks.machine import described
from benchmarks.tables import Table

BENCHMARKS: dict[str, Callable[[bool], Iterable[Table]]] = {
    "rates": rates.tables,
    "steady": steady.tables,
    "loading": loading.tables,
    "shares": shares.tables,
    "bursts": bursts.tables,
    "queue": queue.tables,
    "workers": workers.tables,
    "cluster": cluster.tables,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"which: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a few events, channelbeat alone: does it run?")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(BENCHMARKS)})")
    print(f"{described()}\n", flush=True)
    for name in given.names or BENCHMARKS:
        for table in BENCHMARKS[name](given.quick):
            print(f"{table}\n", flush=True)


if __name__ == "__main__":
    main()
