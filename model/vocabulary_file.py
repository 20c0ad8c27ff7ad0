"""The vocabulary that the field publishes with its precomputed folders, as our own word list.

A JSON object with `word2idx` and `idx2word`, where 0-3 are <pad>, <start>, <end> and <unk>. Ours
need no such entries: the words after them keep their order and are numbered anew.
"""

from pathlib import Path
from typing import Any

from model.errors import DataError
from model.json_file import read_json

RESERVED = ("<pad>", "<start>", "<end>", "<unk>")


def read_vocabulary(file: Path) -> tuple[str, ...]:
    """The words of a published vocabulary in its order, without the reserved four.

    Raises DataError naming the file and what is wrong in it.
    """
    found = read_json(file)
    numbers = found.get("word2idx") if isinstance(found, dict) else None
    if not isinstance(numbers, dict):
        raise DataError(f"{file}: expected an object with word2idx and idx2word")
    words = _in_order(numbers, file)
    for number, word in enumerate(RESERVED):
        if words[number : number + 1] != (word,):
            raise DataError(f"{file}: the number {number} is kept for {word}")
    listed = found.get("idx2word")
    if listed != {str(number): word for number, word in enumerate(words)}:
        raise DataError(f"{file}: idx2word is not the inverse of word2idx")
    if len(words) == len(RESERVED):
        raise DataError(f"{file}: holds no word but the reserved ones")
    return words[len(RESERVED) :]


def _in_order(numbers: dict[str, Any], file: Path) -> tuple[str, ...]:
    for word, number in numbers.items():
        if type(number) is not int:
            raise DataError(f"{file}: word2idx: the number of {word!r} is {number!r}")
    words = sorted(numbers, key=numbers.__getitem__)
    for expected, word in enumerate(words):
        if numbers[word] != expected:
            raise DataError(
                f"{file}: word2idx: {word!r} has the number {numbers[word]}, expected {expected}"
            )
    return tuple(words)
