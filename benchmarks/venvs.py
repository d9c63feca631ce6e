"""The peers: their few lines of code, and the venv that each has for itself."""

from pathlib import Path

PEERS = Path(__file__).parent / "peers"
VENVS = Path(__file__).parents[1] / ".venv-bench"


def there(peer: str) -> bool:
    return (VENVS / peer / ".ready").exists()


def program(peer: str, name: str) -> str:
    return str(VENVS / peer / "bin" / name)
