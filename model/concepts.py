"""What the pretrained networks know by themselves: which ImageNet classes a picture shows and a
text speaks of. Nothing of it trains, so it also holds for what no training caption mentions.

A picture's concepts are what ImageNet's own classifier says of its untuned regions; a text's are
the classes whose names lie near it for the untuned sentence encoder. Pictures and class names were
first compared this way by Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic
Embeddings", ICLR 2014.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from model import efficientnet
from model.config import ModelConfig, TextConfig
from model.grid import GridTail
from model.half import in_half
from model.words import PretrainedTail, PretrainedTrunk, TextBatch, collate

# The classes of ILSVRC 2012 (Russakovsky et al., IJCV 2015) in their order, named by WordNet 3.0.
NAMES_FILE = Path(__file__).with_name("imagenet_classes.txt")
# Of 0.03, 0.04, 0.05 and 0.07 the best on 200 pictures of Flickr8k's val, by little.
TEMPERATURE = 0.04


def concept_names() -> tuple[str, ...]:
    """The 1,000 classes; synonyms of one are joined by commas, the usual one first."""
    return tuple(NAMES_FILE.read_text(encoding="utf-8").splitlines())


@torch.inference_mode()
def name_embeddings() -> Tensor:
    """What the sentence encoder makes of the names, (1000, 384), unit rows, rounded to float16.

    Takes seconds; a bundle holds them.
    """
    config = TextConfig(tuned_layers=0)
    names = [f"a photo of a {name}" for name in concept_names()]
    batch = collate(PretrainedTrunk(config)(names))
    return _sentences(batch.states, batch.mask).half().float()


class Concepts:
    """The frozen networks that tell the concepts of what trunks give.

    It isn't a part of the network that trains, and none of its weights are stored but `names`.
    """

    def __init__(self, config: ModelConfig, names: Tensor) -> None:
        """names: (1000, 384), as `name_embeddings` gives them."""
        self.names = names
        self._picture_tail = GridTail(config.regions) if config.regions.tuned else None
        if self._picture_tail is not None:
            self._picture_tail.start_from_imagenet()
            self._picture_tail.eval().requires_grad_(False)
        self._classifier = efficientnet.load_classifier()
        self._text_tail = PretrainedTail(config.text)
        self._text_tail.start_from_pretrained()
        self._text_tail.eval().requires_grad_(False)

    def apply(self, function: Callable[[Tensor], Tensor]) -> None:
        """Moves or casts every weight, as `nn.Module` does with its own."""
        self.names = function(self.names)
        for part in (self._picture_tail, self._classifier, self._text_tail):
            if part is not None:
                part._apply(function)  # type: ignore[no-untyped-call]

    def in_half(self) -> None:
        """Gives its tails the weights of `model/half.py`."""
        in_half(self._text_tail)
        if self._picture_tail is not None:
            in_half(self._picture_tail)

    def pictures(self, arrays: Tensor) -> Tensor:
        """Trunk arrays (B, *shape) to probabilities (B, 1000), each row summing to 1."""
        features = arrays if self._picture_tail is None else self._picture_tail(arrays)
        probabilities: Tensor = self._classifier(features.mean(1)).softmax(-1)
        return probabilities

    def texts(self, batch: TextBatch) -> Tensor:
        """A padded batch of trunk texts to probabilities (B, 1000), each row summing to 1."""
        states = self._text_tail.layers(batch.states, batch.mask)
        near = _sentences(states, batch.mask) @ self.names.T
        return (near / TEMPERATURE).softmax(-1)


def _sentences(states: Tensor, mask: Tensor) -> Tensor:
    """The mean of a text's pieces, as all-MiniLM-L6-v2 was trained: (B, P, 384) to (B, 384), unit
    rows.
    """
    counted = mask[:, :, None].to(states.dtype)
    return functional.normalize((states * counted).sum(1) / counted.sum(1), dim=-1)
