"""Our attention scorer against SCAN's published formulation, both directions, one run.

SCAN (Lee et al., ECCV 2018, eq. 1-8) builds the attended vector of every word or region of every
pair, one caption after the other. `model/alignment.py` scores both attention directions of all
pairs at once from similarities and Gram matrices. Same random data, same sizes as the shipped
bundle, one thread.
"""

import torch
from _timing import machine, median_ms
from torch import Tensor
from torch.nn import functional

from model.alignment import Nodes, node_alignment
from model.config import ModelConfig

CANDIDATES = 100
WORDS = 12
WORD_TEMPERATURE, REGION_TEMPERATURE = torch.tensor(9.0), torch.tensor(4.0)


def attend(query: Tensor, context: Tensor, temperature: Tensor) -> Tensor:
    """Attended vectors (B, queries, d) of query (B, queries, d) over context (B, n, d)."""
    similarity = functional.leaky_relu(context @ query.transpose(1, 2), 0.1)
    similarity = functional.normalize(similarity, dim=2)
    weights = (temperature * similarity.transpose(1, 2)).softmax(-1)
    return weights @ context


def scan(words: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """One caption (L, d) against pictures (n, K, d): both attention directions, each (n,)."""
    words = words.expand(len(regions), -1, -1)
    found = attend(words, regions, WORD_TEMPERATURE)
    word_to_region = functional.cosine_similarity(words, found, dim=2).mean(1)
    found = attend(regions, words, REGION_TEMPERATURE)
    return word_to_region, functional.cosine_similarity(regions, found, dim=2).mean(1)


def scan_captions(captions: list[Tensor], regions: Tensor) -> tuple[Tensor, Tensor]:
    """One picture (1, K, d) against captions, one after the other as published, each (n,)."""
    scores = [scan(words, regions) for words in captions]
    return torch.cat([forwards for forwards, _ in scores]), torch.cat([back for _, back in scores])


def unit(*shape: int) -> Tensor:
    """Random unit rows."""
    return functional.normalize(torch.randn(*shape), dim=-1)


def nodes(vectors: Tensor) -> Nodes:
    """Nodes that all count alike."""
    mask = torch.ones(vectors.shape[:2], dtype=torch.bool)
    return Nodes(vectors, mask, mask / vectors.shape[1])


@torch.inference_mode()
def main() -> None:
    """Prints both ratios, after checking that both sides compute the same scores."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = ModelConfig()
    size, regions = config.fine_dimension, config.keep
    words, pictures = unit(1, WORDS, size), unit(CANDIDATES, regions, size)
    picture, captions = unit(1, regions, size), unit(CANDIDATES, WORDS, size)

    def ours(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return node_alignment(nodes(left), nodes(right), WORD_TEMPERATURE, REGION_TEMPERATURE)

    captions_apart = list(captions)
    searches = {
        "text to image": (lambda: scan(words[0], pictures), lambda: ours(pictures, words)),
        "image to text": (
            lambda: scan_captions(captions_apart, picture),
            lambda: ours(picture, captions),
        ),
    }
    print(
        f"{CANDIDATES} candidates, {regions} regions, {WORDS} words, d = {size}, both attention "
        f"directions, one thread, {machine()}"
    )
    for name, (published, mine) in searches.items():
        for theirs, own in zip(published(), mine(), strict=True):
            torch.testing.assert_close(own.flatten(), theirs, atol=1e-4, rtol=0)
        slow, fast = median_ms(published), median_ms(mine)
        print(f"{name}: SCAN as published {slow:.2f} ms, ours {fast:.2f} ms: {slow / fast:.2f} x")


if __name__ == "__main__":
    main()
