"""Redis: the layer's own keys, and the scripts that make sending and remembering one step."""
