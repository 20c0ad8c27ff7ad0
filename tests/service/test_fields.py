"""Single fields, with any text at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import check_id as check_id_of_the_index
from service.fields import check_id, check_metadata, check_query, without_surrogates
from service.listing import cursor_of, id_of

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)


@given(ANY_TEXT)
def test_text_can_be_stored_once_surrogates_are_replaced(text: str) -> None:
    cleaned = without_surrogates(text)
    assert cleaned.encode().decode() == cleaned
    assert len(cleaned) == len(text)


@given(ANY_TEXT)
def test_ids_that_the_service_takes_the_index_takes(text: str) -> None:
    try:
        checked = check_id(text)
    except ValueError:
        return
    check_id_of_the_index(checked)
    assert id_of(cursor_of(checked)) == checked


@given(st.text(max_size=1200))
def test_a_query_keeps_its_offsets(text: str) -> None:
    length = len(text.rstrip())
    if 1 <= length <= 1000:
        assert text.startswith(check_query(text))
    else:
        with pytest.raises(ValueError, match="1 to 1000 characters"):
            check_query(text)


def test_white_space_before_a_query_counts_and_after_it_does_not() -> None:
    assert check_query(" " * 997 + "dog" + " " * 1000) == " " * 997 + "dog"
    with pytest.raises(ValueError, match="this one has 1001"):
        check_query(" " * 998 + "dog")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats() | ANY_TEXT,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(ANY_TEXT, children, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(ANY_TEXT, JSON_VALUES, max_size=4))
def test_metadata_is_refused_or_survives_json(metadata: dict[str, Any]) -> None:
    try:
        checked = check_metadata(metadata)
    except ValueError:
        return
    written = json.dumps(checked, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(written) == checked
