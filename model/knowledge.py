"""What the training captions give a model before it is trained: its words and its tags."""

from dataclasses import dataclass
from pathlib import Path

from model.config import RunConfig, TextConfig
from model.dataset import Split
from model.errors import DataError
from model.tags import build_tags, content_words
from model.vocabulary_file import read_vocabulary
from model.words import build_vocabulary


@dataclass(frozen=True)
class Knowledge:
    """The word list, empty where the text side brings its own, and the tags."""

    vocabulary: tuple[str, ...]
    tags: tuple[str, ...]


def learn_words(config: RunConfig, split: Split) -> Knowledge:
    """The vocabulary (where the text side has its own) and the tags of a training split.

    Raises DataError when the captions hold fewer tags than the configuration asks for, or the
    vocabulary file that it names can't be read.
    """
    tags = build_tags(content_words(split), config.model.tags)
    if len(tags) < config.model.tags:
        raise DataError(
            f"the captions of {split.name} hold {len(tags)} content words; model.tags asks for "
            f"{config.model.tags}"
        )
    return Knowledge(_vocabulary(config.model.text, split), tags)


def _vocabulary(config: TextConfig, split: Split) -> tuple[str, ...]:
    if config.kind == "pretrained":
        return ()
    if config.vocabulary_file is not None:
        return read_vocabulary(Path(config.vocabulary_file))
    return build_vocabulary(split.captions, config.minimum_count)
