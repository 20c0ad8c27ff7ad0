"""Our six layers are all-MiniLM-L6-v2."""

from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from model import bert
from model.pretrained import MINILM_TOKENIZER, MINILM_WEIGHTS
from tests import needs

SENTENCES = (
    "a man rides a bicycle",
    "a cyclist on the road",
    "a dog plays in the snow",
    "a puppy jumps through the snow",
    "the stock market fell today",
)


def pieces() -> tuple[torch.Tensor, torch.Tensor]:
    tokenizer = Tokenizer.from_file(str(MINILM_TOKENIZER.locate()))
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(SENTENCES))
    return (
        torch.tensor([one.ids for one in encoded]),
        torch.tensor([one.attention_mask for one in encoded]).bool(),
    )


@pytest.fixture(scope="module")
def whole() -> torch.Tensor:
    """States (5, P, 384) after all six layers."""
    with torch.inference_mode():
        return bert.load_trunk(MINILM_WEIGHTS.locate(), bert.LAYERS)(*pieces())


def embeddings(states: torch.Tensor) -> np.ndarray:
    mask = pieces()[1][:, :, None]
    mean = (states * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(mean, dim=-1).numpy()


def test_sentences_of_one_meaning_are_nearer_than_others(whole: torch.Tensor) -> None:
    vectors = embeddings(whole)
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > 0.5 and similarity[2, 3] > 0.5
    assert similarity[0, 1] > similarity[0, [2, 3, 4]].max() + 0.2
    assert similarity[2, 3] > similarity[2, [0, 1, 4]].max() + 0.2


def test_hugging_face_computes_the_same(whole: torch.Tensor) -> None:
    transformers: Any = needs.module("transformers")
    network = transformers.BertModel.from_pretrained(
        MINILM_WEIGHTS.locate().parent, local_files_only=True
    ).eval()
    ids, mask = pieces()
    with torch.inference_mode():
        theirs = network(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    np.testing.assert_allclose(whole[mask].numpy(), theirs[mask].numpy(), atol=1e-4)


@pytest.mark.parametrize("first", [0, 2, 4, 6])
def test_cut_at_any_layer_both_parts_together_are_the_whole(
    first: int, whole: torch.Tensor
) -> None:
    ids, mask = pieces()
    weights = MINILM_WEIGHTS.locate()
    with torch.inference_mode():
        states = bert.load_trunk(weights, first)(ids, mask)
        states = bert.load_layers(weights, first)(states, mask)
    np.testing.assert_allclose(states[mask].numpy(), whole[mask].numpy(), atol=1e-5)


def test_the_trunk_is_frozen_and_the_layers_train() -> None:
    weights = MINILM_WEIGHTS.locate()
    assert not any(p.requires_grad for p in bert.load_trunk(weights, 1).parameters())
    assert all(p.requires_grad for p in bert.load_layers(weights, 5).parameters())
