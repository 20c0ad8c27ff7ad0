import pytest

from index.errors import QueryError
from index.plan import Plan


@pytest.mark.parametrize(
    ("sizes", "due"),
    [
        # main rows, dead, delta rows, dead
        ((0, 0, 20_000, 0), False),
        ((0, 0, 20_001, 0), True),
        # Dead rows of the delta are cleared away by the delta itself.
        ((0, 0, 21_000, 2_000), False),
        ((30_000, 0, 10_000, 0), False),
        ((30_000, 0, 10_001, 0), True),
        ((30_000, 6_000, 4_001, 0), True),
        ((1_000_000, 0, 62_500, 0), False),
        ((1_000_000, 0, 62_501, 0), True),
        # A collection that has shrunk is kept as it is until it is half the limit.
        ((30_000, 15_000, 0, 0), False),
        ((30_000, 20_000, 0, 0), True),
        ((0, 0, 0, 0), False),
    ],
)
def test_a_segment_is_due_when_enough_lies_beside_it(sizes: tuple, due: bool) -> None:
    assert Plan().is_due(*sizes) is due


@pytest.mark.parametrize("target", [0.0, 1.01, -1.0])
def test_a_recall_that_cannot_be_reached_is_refused(target: float) -> None:
    with pytest.raises(QueryError, match="recall_target must be over 0 and at most 1"):
        Plan(recall_target=target)
