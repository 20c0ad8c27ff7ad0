"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
NamedProgress = Callable[[str, int, int], None]


def silent(done: int, total: int) -> None:
    """Tells nobody."""


def silent_named(what: str, done: int, total: int) -> None:
    """Tells nobody what it counts either."""
