"""How fast channelbeat is, beside what users choose today: `make bench`, or `python -m benchmarks NAME...`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # `support`: what starts control planes and operators for the tests does so here
