"""How fast channelbeat is, beside what users choose today: `make bench`, or `python -m benchmarks NAME...`."""
