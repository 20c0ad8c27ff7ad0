"""kill -9 at any moment: what was acknowledged is there, nothing is half-written or back."""

from pathlib import Path

from tests.index.crash import crash


def test_everything_acknowledged_survives_kill_9_and_damage_to_what_is_derived(
    folder: Path,
) -> None:
    tally = crash(folder, kills=10, seed=7, tell=lambda so_far: None)
    assert tally.kills == 10
    assert tally.acknowledged > 50
    assert tally.damaged > 0
    assert tally.items_checked > 0
