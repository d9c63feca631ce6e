"""The server-side scripts, by name. Their headers are the documentation; each guard is one line that can be taken out."""

from importlib.resources import files


def source(name: str) -> str:
    """As Redis gets it: what scripts that move runs have in common stands before those that use it."""
    text = _read(name)
    return _read("runs") + text if "uses runs" in text else text


def _read(name: str) -> str:
    return files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
