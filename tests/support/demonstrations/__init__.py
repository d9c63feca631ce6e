"""What each guard of a script is there for, by the guard's name: a story that holds with it, and breaks in a script without its line."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from support.bench import Bench

Demonstration: TypeAlias = Callable[[Bench], Awaitable[None]]
DEMONSTRATIONS: dict[str, Demonstration] = {}


def shows(guard: str) -> Callable[[Demonstration], Demonstration]:
    """The function shows what the guard of this name is there for."""

    def noted(demonstration: Demonstration) -> Demonstration:
        assert guard not in DEMONSTRATIONS
        DEMONSTRATIONS[guard] = demonstration
        return demonstration

    return noted
