"""The project's own files, for the tests that read them."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator/channelbeat"
SOURCES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(PACKAGE.rglob("*.lua"))


def tracked() -> list[Path]:
    """The files that are, or would be, committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def shell_lines(markdown: Path) -> list[str]:
    """What its ```sh blocks tell people to type, without prompts and comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", markdown.read_text(), re.MULTILINE | re.DOTALL)
    return [typed for block in blocks for line in block.splitlines() if (typed := line.split(" #")[0].strip()) and not typed.startswith("#")]
