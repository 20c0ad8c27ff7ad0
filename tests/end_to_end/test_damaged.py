"""Damaged picture files never make a server fail."""

from tests.end_to_end.damaged import upload_damaged
from tests.helpers import Server


def test_each_damaged_file_is_refused_or_stored(server: Server) -> None:
    damage = upload_damaged(server, count=300, seed=1, tell=lambda so_far: None)
    assert damage.files == 300
    # Some damage leaves a picture, most doesn't.
    assert damage.statuses[201] > 10
    assert damage.statuses[422] > 100
