"""Clients that search and write at the same time are all answered, each with what is its own."""

from tests.end_to_end.busy import keep_busy
from tests.helpers import Server


def test_busy_clients_are_answered_rightly(server: Server) -> None:
    busy = keep_busy(server, seconds=4, clients=4, seed=1)
    assert all(quarter.seconds for quarter in busy.quarters)
    assert busy.quarters[3].mib > 0
    assert len(busy.table.splitlines()) == 5
