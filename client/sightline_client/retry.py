"""When a request that failed is sent again."""

import time
from dataclasses import dataclass
from typing import Any

from sightline_client.call import Call
from sightline_client.errors import (
    SightlineError,
    TimedOutError,
    TooManyRequestsError,
    UnavailableError,
    UnreachableError,
)

# Beyond a thousand a float overflows, and a service may be busy for as many requests.
MOST_DOUBLINGS = 60


@dataclass(frozen=True)
class Retry:
    """How patient a client is. `Retry(times=0, busy_s=0)` sends everything once.

    times: repeats where no answer came: no connection, or one that broke. An answer that doesn't
    come in time is asked for again only where the service has to read and no more: anything else it
    is still at work on, and would do once more beside that. busy_s: while the service
    says that it is busy (503, 429), it is asked again until this many seconds after the first try.
    first_wait_s: the wait before the first repeat, which doubles with each; at least that long it
    waits also where the service names a time in `Retry-After`. longest_wait_s: the most it waits at
    once, whatever the service names.
    """

    times: int = 3
    busy_s: float = 30.0
    first_wait_s: float = 0.25
    longest_wait_s: float = 10.0


class Patience:
    """What is left of the patience with one request."""

    def __init__(self, retry: Retry, call: Call[Any]) -> None:
        self._retry = retry
        self._call = call
        self._repeats = 0
        self._unanswered = 0
        self._busy_until = time.monotonic() + retry.busy_s

    def wait_after(self, error: SightlineError) -> float:
        """Seconds to wait before sending it again. Raises the error itself if it is final."""
        wait = self._retry.first_wait_s * 2.0 ** min(self._repeats, MOST_DOUBLINGS)
        match error:
            case UnavailableError() | TooManyRequestsError():
                # Refused before anything was done, so every request may be repeated.
                if error.retry_after is not None:
                    wait = max(error.retry_after, self._retry.first_wait_s)
                wait = min(wait, self._retry.longest_wait_s)
                worth_it = time.monotonic() + wait <= self._busy_until
            case TimedOutError() if self._call.computes:
                worth_it = False
            case UnreachableError():
                self._unanswered += 1
                may_repeat = self._call.repeatable or not error.maybe_done
                worth_it = may_repeat and self._unanswered <= self._retry.times
            case _:
                worth_it = False
        if not worth_it:
            raise error
        self._repeats += 1
        return min(wait, self._retry.longest_wait_s)
