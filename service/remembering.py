"""What was encoded for a search stays for the next that asks the same: more pages, other filters.

Who holds what: everything here happens on the event loop, so it takes no lock.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")


class Remembering(Generic[Item, Result]):
    """Work whose last results are kept, for items that are the same."""

    def __init__(self, work: Callable[[Item], Awaitable[Result]], most: int) -> None:
        """work: its results are shared, so nobody may change them. most: results that are kept."""
        self._work, self._most = work, most
        self._results: OrderedDict[Item, Result] = OrderedDict()

    async def run(self, item: Item) -> Result:
        """The item's result, as it is remembered or new. Raises what the work raises."""
        if item in self._results:
            self._results.move_to_end(item)
            return self._results[item]
        # Of two that ask at once the later one gets what the first one got: encodings of a sentence
        # differ by what it was encoded with.
        result = self._results.setdefault(item, await self._work(item))
        while len(self._results) > self._most:
            self._results.popitem(last=False)
        return result
