"""The loops: what is scheduled, when it is due, what becomes of it. Knows ports, not libraries."""
