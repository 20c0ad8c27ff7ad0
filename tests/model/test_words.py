"""Any string to words, and where they stand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import TextConfig
from model.words import (
    TextTrunk,
    TrunkText,
    VocabularyTrunk,
    build_vocabulary,
    collate,
    some_words,
    text_tail,
    word_trunk,
)

PRETRAINED = TextConfig(kind="pretrained", max_words=16)
VOCABULARY = TextConfig(kind="vocabulary", feature_size=300, max_words=16)
WORDS = ("dog", "grass", "the", "don't")
STRANGE = {
    "empty": "",
    "blanks": " \t\n ",
    "NUL": "\0",
    "NUL inside": "a\0dog",
    "emoji": "🐕🌊👩‍👩‍👧",
    "lone surrogate": "\ud83d",
    "surrogate inside": "a dog \udfff runs",
    "Chinese": "一只棕色的狗在草地上奔跑",
    "Arabic": "كلب بني يركض",
    "punctuation": "?!... --- ;;",
    "apostrophes": "don't, it’s the dogs' ''",
    "one letter": "a",
    "combining": "e\u0301\u0301 a\u0308",
    "growing lower case": "İİİ dog",
    "right to left mark": "\u202edog",
    "one long word": "x" * 5000,
    "300 words": " ".join(f"word{i}" for i in range(300)),
    "300 emoji": "🐕 " * 300,
}


@pytest.fixture(scope="module")
def trunks() -> dict[str, TextTrunk]:
    return {
        "pretrained": word_trunk(PRETRAINED, ()),
        "vocabulary": VocabularyTrunk(VOCABULARY, WORDS),
    }


def assert_sound(text: str, found: TrunkText, most: int = 16) -> None:
    assert 1 <= len(found.spans) <= most
    assert found.spans.dtype == np.int32
    assert len(found.states) == len(found.words)
    assert np.isfinite(found.states).all()
    # Each word has at least one piece, and no piece belongs to a word that isn't there.
    assert set(found.words.tolist()) - {-1} == set(range(len(found.spans)))
    starts, ends = found.spans[:, 0], found.spans[:, 1]
    assert (starts >= 0).all() and (ends <= len(text)).all() and (starts <= ends).all()
    assert (starts[1:] >= ends[:-1]).all()
    if text.strip() and len(found.spans) > 1:
        assert (ends > starts).all()


@pytest.mark.parametrize("kind", ["pretrained", "vocabulary"])
@pytest.mark.parametrize("name", STRANGE)
def test_strange_strings_have_sound_words(trunks, kind: str, name: str) -> None:
    (found,) = trunks[kind]([STRANGE[name]])
    assert_sound(STRANGE[name], found)


@pytest.mark.parametrize("kind", ["pretrained", "vocabulary"])
@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(), max_size=60))
def test_any_string_has_sound_words(trunks, kind: str, text: str) -> None:
    (found,) = trunks[kind]([text])
    assert_sound(text, found)


def shown(text: str, found: TrunkText) -> list[str]:
    return [text[start:end] for start, end in found.spans]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog, (brown) runs!", ["A", "dog", "brown", "runs"]),
        ("  café 🐕 déjà-vu ", ["café", "déjà", "vu"]),
        ("a \udfff dog", ["a", "dog"]),
        ("🐕 a dog", ["a", "dog"]),
        ("3 dogs2", ["3", "dogs2"]),
    ],
)
@pytest.mark.parametrize("kind", ["pretrained", "vocabulary"])
def test_spans_show_the_words_in_the_text(trunks, kind: str, text: str, words: list[str]) -> None:
    assert shown(text, trunks[kind]([text])[0]) == words


def test_every_chinese_character_is_a_word_of_the_pretrained_trunk(trunks) -> None:
    assert shown("狗 跑", trunks["pretrained"](["狗 跑"])[0]) == ["狗", "跑"]


def test_emoji_alone_are_the_words_of_their_text(trunks) -> None:
    assert shown("🐕 🌊", trunks["pretrained"](["🐕 🌊"])[0]) == ["🐕", "🌊"]


def test_a_text_without_any_piece_has_one_word_that_spans_it(trunks) -> None:
    for trunk in trunks.values():
        (found,) = trunk([" "])
        assert found.spans.tolist() == [[0, 1]]


def test_words_beyond_the_limit_are_cut(trunks) -> None:
    text = " ".join(f"dog{i}" for i in range(40))
    for trunk in trunks.values():
        (found,) = trunk([text])
        assert shown(text, found) == text.split()[:16]


def test_own_vocabulary_numbers_words_from_one_and_all_others_zero(trunks) -> None:
    (found,) = trunks["vocabulary"](["The GRASS, a zebra don't"])
    assert found.states.tolist() == [3, 2, 0, 0, 4]


def test_vocabulary_counts_captions_not_occurrences() -> None:
    captions = ["dog dog dog", "a dog", "a cat", "Cat a"]
    assert build_vocabulary(captions, 2) == ("a", "cat", "dog")
    assert build_vocabulary(captions, 3) == ("a",)


def test_pieces_of_a_word_are_averaged() -> None:
    texts = [
        TrunkText(
            np.array([[1.0], [3.0], [5.0]], dtype=np.float16),
            np.array([-1, 0, 0]),
            np.zeros((1, 2), dtype=np.int32),
        ),
        TrunkText(
            np.array([[2.0]], dtype=np.float16), np.array([0]), np.zeros((1, 2), dtype=np.int32)
        ),
    ]
    batch = collate(texts)
    assert batch.mask.tolist() == [[True] * 3, [True, False, False]]
    assert batch.present.tolist() == [[True], [True]]
    assert (batch.words @ batch.states).tolist() == [[[4.0]], [[2.0]]]


@pytest.mark.parametrize("kind", ["pretrained", "vocabulary"])
def test_features_of_a_word_do_not_depend_on_what_else_is_in_the_batch(trunks, kind: str) -> None:
    config = PRETRAINED if kind == "pretrained" else VOCABULARY
    torch.manual_seed(0)
    tail = text_tail(config, WORDS).eval()
    texts = ["a dog", "the dog runs over the wide green grass of the park", "🐕", ""]

    def features(some: list[TrunkText]) -> list[np.ndarray]:
        batch = collate(some)
        with torch.inference_mode():
            states = tail(batch.states, batch.mask, batch.words)
        return [states[i][batch.present[i]].numpy() for i in range(len(some))]

    together = features(trunks[kind](texts))
    for text, expected in zip(texts, together, strict=True):
        # The trunk's output is float16, whose rounding may differ by one step.
        np.testing.assert_allclose(features(trunks[kind]([text]))[0], expected, atol=5e-3)


def test_trunk_answers_in_the_order_of_the_texts(trunks) -> None:
    texts = ["a long sentence about a dog on the grass", "dog", "the grass"]
    found = trunks["pretrained"](texts)
    assert [len(one.spans) for one in found] == [9, 1, 2]


@pytest.mark.parametrize("kind", ["pretrained", "vocabulary"])
def test_a_dropped_word_is_gone_from_every_node_and_the_others_stay_what_they_were(
    trunks, kind: str
) -> None:
    (whole,) = trunks[kind](["a playful dachshund chases two frisbees on the lawn"])
    random = np.random.default_rng(3)
    fewer = some_words(whole, 0.6, random)
    assert 0 < len(fewer.spans) < len(whole.spans)
    np.testing.assert_array_equal(fewer.states, whole.states)
    whole_spans = [tuple(span) for span in whole.spans]
    for number, span in enumerate(fewer.spans):
        before = whole_spans.index(tuple(span))
        np.testing.assert_array_equal(fewer.words == number, whole.words == before)
    assert set(fewer.words) - {-1} == set(range(len(fewer.spans)))


def test_a_text_that_would_lose_all_its_words_keeps_them(trunks) -> None:
    (whole,) = trunks["pretrained"](["a dog"])
    assert some_words(whole, 1e-9, np.random.default_rng(0)) is whole
