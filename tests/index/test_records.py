import numpy as np
import pytest

from index.embedded import EmbeddedIndex
from index.errors import QueryError, RecordError
from tests.index.samples import DIMENSION, record

GOOD_IDS = [
    "a",
    "x" * 200,
    "日本",
    "😀",
    "with space",
    "..",
    "a.b-c_d",
    "%2F",
    "'; DROP TABLE item",
]
BAD_IDS = ["", "x" * 201, "a/b", "line\nbreak", "nul\0", "\x7f", "\x85", "\ud800", 7]


@pytest.mark.parametrize("id_", GOOD_IDS)
def test_ids_of_any_alphabet_are_kept_as_they_are(index: EmbeddedIndex, id_: str) -> None:
    assert index.upsert([record(id_)]) == [True]
    assert index.fetch("image", [id_])[0].id == id_
    assert index.search("image", np.ones((1, DIMENSION), np.float32), 1).ids == [[id_]]


@pytest.mark.parametrize("id_", BAD_IDS)
def test_other_ids_are_refused_and_never_found(index: EmbeddedIndex, id_: str) -> None:
    with pytest.raises(RecordError, match=r"id must"):
        index.upsert([record("good"), record(id_)])
    assert index.count("image") == 0
    if isinstance(id_, str):
        assert index.get("image", id_) is None
        assert index.fetch("image", [id_]) == [None]
        assert index.delete("image", [id_]) == 0
        assert index.thumbnail(id_) is None
        assert not index.update_metadata("image", id_, {})


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (np.ones(DIMENSION), "vector must be float32, not float64"),
        ([1.0] * DIMENSION, "vector must be float32, not list"),
        (np.ones(DIMENSION + 1, np.float32), r"vector must have shape \(8,\), not \(9,\)"),
        (np.ones((1, DIMENSION), np.float32), r"vector must have shape \(8,\), not \(1, 8\)"),
        (np.full(DIMENSION, np.nan, np.float32), "not finite"),
        (np.full(DIMENSION, np.inf, np.float32), "not finite"),
        (np.full(DIMENSION, 1e13, np.float32), r"beyond 1e\+12"),
    ],
)
def test_a_wrong_vector_is_refused_in_words(
    index: EmbeddedIndex, vector: np.ndarray, words: str
) -> None:
    with pytest.raises(RecordError, match=words) as caught:
        index.upsert([record("a", vector=vector)])
    assert "image 'a'" in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"a": "x" * 16384}, "metadata has 16,392 bytes; the limit is 16,384"),
        ({"a": float("nan")}, "metadata is not JSON"),
        ({"a": object()}, "metadata is not JSON"),
        ({"a": "\ud800"}, "metadata is not JSON"),
        ([1], "metadata must be a JSON object"),
    ],
)
def test_wrong_metadata_is_refused_in_words(
    index: EmbeddedIndex, metadata: object, words: str
) -> None:
    with pytest.raises(RecordError, match=words):
        index.upsert([record("a", metadata=metadata)])
    index.upsert([record("a")])
    with pytest.raises(RecordError, match=words):
        index.update_metadata("image", "a", metadata)
    assert index.get("image", "a").metadata == {"seed": 0}


@pytest.mark.parametrize("tags", [("",), ("x" * 201,), ("a\nb",), "dog", ("t",) * 1001])
def test_wrong_tags_are_refused(index: EmbeddedIndex, tags: tuple[str, ...]) -> None:
    with pytest.raises(RecordError, match="tags"):
        index.upsert([record("a", tags=tags)])


def test_an_unknown_kind_is_refused(index: EmbeddedIndex) -> None:
    with pytest.raises(RecordError, match="kind must be one of image, text, not 'video'"):
        index.upsert([record("a", kind="video")])
    with pytest.raises(RecordError, match="kind must be one of"):
        index.count("video")


@pytest.mark.parametrize(
    ("vectors", "k", "words"),
    [
        (np.ones((1, 8)), 1, "vectors must be float32, not float64"),
        (np.ones(8, np.float32), 1, r"shape \(n, 8\), not \(8,\)"),
        (np.ones((1, 9), np.float32), 1, r"shape \(n, 8\), not \(1, 9\)"),
        (np.full((1, 8), np.nan, np.float32), 1, "not finite"),
        (np.ones((1, 8), np.float32), 0, "k must be at least 1, not 0"),
    ],
)
def test_a_wrong_search_is_refused_in_words(
    index: EmbeddedIndex, vectors: np.ndarray, k: int, words: str
) -> None:
    with pytest.raises(QueryError, match=words):
        index.search("image", vectors, k)
