"""A channelbeat that runs on this machine, or in this pod: how it is found, and what it answers."""
