"""Going away in order: first `/readyz` says so, a while later the service stops.

Whoever sends requests here learns of a stop only by asking `/readyz`. Until then new requests
come, and they are answered.
"""

import math
import signal
import time
from dataclasses import dataclass
from types import FrameType

import uvicorn


@dataclass
class Drain:
    """Whether the service was told to stop. Set once, by a signal's handler, and read by all."""

    begun: bool = False


class DrainingServer(uvicorn.Server):
    """uvicorn's server, which goes on for `delay_s` seconds after the first SIGTERM.

    Any further signal, and Ctrl-C, skips what is left of the delay. uvicorn then lets running
    requests finish.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain, delay_s: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._delay_s = delay_s
        self._stop_at = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # A signal's handler interrupts the event loop anywhere, so it takes no lock.
        if self._drain.begun or sig != signal.SIGTERM or not self._delay_s:
            super().handle_exit(sig, frame)
        else:
            self._stop_at = time.monotonic() + self._delay_s
        self._drain.begun = True

    async def on_tick(self, counter: int) -> bool:
        if time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)
