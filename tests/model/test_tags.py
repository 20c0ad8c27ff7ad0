"""The tag vocabulary."""

import numpy as np

from model.dataset import Example, Split
from model.tags import STOP_WORDS, base_form, build_tags, content_words, tag_targets


def of(*captions: tuple[str, ...]) -> Split:
    return Split("train", tuple(Example(str(i), c) for i, c in enumerate(captions)))


def test_content_words_are_base_forms_of_all_captions_without_stop_words() -> None:
    found = content_words(
        of(("A dog runs.", "Two DOGS run on the grass"), ("the men ride", "ride"))
    )
    assert found == [{"dog", "run", "grass"}, {"man", "ride"}]


def test_words_shorter_than_three_letters_and_numbers_are_no_content() -> None:
    assert content_words(of(("ox 12 a of it 3d",))) == [set()]


def test_a_stem_that_no_caption_holds_is_not_invented() -> None:
    assert base_form("morning", {"morning": 3}) == "morning"
    assert base_form("building", {"build": 5, "building": 1}) == "building"


def test_tags_come_by_number_of_pictures_then_by_name() -> None:
    words = [{"dog", "ball"}, {"dog", "cat"}, {"cat"}, {"ant"}]
    assert build_tags(words, 3) == ("cat", "dog", "ant")
    assert build_tags(words, 99) == ("cat", "dog", "ant", "ball")


def test_targets_mark_the_tags_of_each_picture() -> None:
    found = tag_targets([{"dog", "ball"}, {"cat"}, set()], ("dog", "cat"))
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_captions_of_another_alphabet_have_no_tags() -> None:
    assert content_words(of(("一只狗在草地上", "🐕🐕"))) == [set()]


def test_no_tag_is_a_stop_word() -> None:
    found = content_words(of(("looking pictures takes shows standing", "wearing things taken")))
    assert not found[0] & STOP_WORDS
