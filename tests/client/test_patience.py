"""What is sent again, how often, and how long an answer is waited for."""

from collections.abc import Callable

import pytest

from sightline_client import Client, NewText, Retry, TimedOutError, searches
from tests.scripted import Scripted

OK = (200, {}, b'{"status": "ok"}')
BUSY = (503, {"Retry-After": "0"}, b"busy")
QUICK = Retry(times=2, busy_s=5, first_wait_s=0.01)


def test_what_is_computed_is_not_asked_for_again_after_a_timeout(scripted: Scripted) -> None:
    scripted.answers = [OK] * 4
    scripted.seconds = 60
    with Client(scripted.url, retry=QUICK, timeout_s=0.2) as asking:
        for ask in (lambda: asking.embeddings("a dog"), asking.health):
            with pytest.raises(TimedOutError, match="no answer came in time") as late:
                ask()
            assert late.value.maybe_done
    assert [method for method, *_ in scripted.asked] == ["POST", "GET", "GET", "GET"]


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (
            lambda client: client.bulk_texts([NewText("a")] * 3),
            b'{"items": [], "created": 3, "replaced": 0, "failed": 0}',
        ),
        (lambda client: client.batch([searches.text_to_image("a")] * 3), b'{"items": []}'),
        (lambda client: client.rerank("a", ["b"] * 3), b'{"model": "m", "results": []}'),
        (
            lambda client: client.embeddings(["a"] * 3),
            b'{"data": [], "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}',
        ),
    ],
)
def test_an_answer_to_many_items_is_waited_for_longer(
    scripted: Scripted, ask: Callable[[Client], object], answer: bytes
) -> None:
    scripted.answers = [(200, {}, answer)]
    scripted.seconds = 0.5
    with Client(scripted.url, retry=QUICK, timeout_s=0.2) as asking:
        ask(asking)
    assert len(scripted.asked) == 1


def test_a_service_may_be_busy_for_any_number_of_requests(scripted: Scripted) -> None:
    scripted.answers = [BUSY] * 1100 + [OK]
    patient = Retry(busy_s=60, first_wait_s=0, longest_wait_s=0)
    with Client(scripted.url, retry=patient) as asking:
        assert asking.health().status == "ok"
    assert len(scripted.asked) == 1101
