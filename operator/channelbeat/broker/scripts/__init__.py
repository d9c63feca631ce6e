"""The server-side scripts, by name. Their headers are the documentation; each guard is one line that can be taken out."""

from importlib.resources import files


def source(name: str) -> str:
    return files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
