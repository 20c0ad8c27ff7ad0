"""How the layers become one score, and what is learned for it on the validation split.

    first stage = global - strength * global offset
    fine        = w_e entity + w_r relation + w_s semantic + w_c concept,    the w summing to 1
    total       = w_g * first stage + fine - strength * fine offset

so that the second stage adds to the very number by which the first one ranked.
"""

from collections.abc import Mapping

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn import functional

from model.alignment import CONCEPT, LAYERS

FINE = ("entity", "relation", "semantic", CONCEPT)
FIT_STEPS = 40
# Texts of one picture are alike; one of five says enough about image to text, in a fifth of time.
EVERY = 5


class Fusion(BaseModel):
    """Layer weights; those of the fine layers sum to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    global_: float = Field(1.0, ge=0, alias="global")
    entity: float = Field(0.5, ge=0)
    relation: float = Field(0.3, ge=0)
    semantic: float = Field(0.2, ge=0)
    concept: float = Field(0.0, ge=0)

    def fine(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """The weighted fine layers that there are, of whatever shape they have."""
        weighted = [
            np.float32(getattr(self, name)) * scores[name] for name in FINE if name in scores
        ]
        total: np.ndarray = sum(weighted[1:], weighted[0])
        return total


def fit(
    text_to_image: Mapping[str, np.ndarray],
    image_to_text: Mapping[str, np.ndarray],
    owners: np.ndarray,
    layers: tuple[str, ...] = LAYERS,
) -> Fusion:
    """Weights that make the right answers most likely, both directions (softmax likelihood).

    Each mapping holds the layers (I, T), "global" with its direction's offset taken off;
    owners: (T,) the picture of each text. Layers that are not named get weight 0.
    """
    stacks = [
        torch.from_numpy(np.stack([scores[name] for name in layers]))
        for scores in (text_to_image, image_to_text)
    ]
    target = torch.from_numpy(owners)
    own = torch.arange(len(owners))
    others = (target[:, None] == target[None, :]).fill_diagonal_(False)
    raw = torch.full((len(layers),), 2.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([raw], max_iter=FIT_STEPS, line_search_fn="strong_wolfe")
    rows = torch.arange(0, len(owners), EVERY)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        weights = functional.softplus(raw) * 10
        by_text = torch.tensordot(weights, stacks[0], 1).T
        by_picture = torch.tensordot(weights, stacks[1], 1)[target[rows]]
        by_picture = by_picture.masked_fill(others[rows], -torch.inf)
        loss = functional.cross_entropy(by_text, target) + functional.cross_entropy(
            by_picture, own[rows]
        )
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found = dict(zip(layers, (functional.softplus(raw) * 10).tolist(), strict=True))
    return normalised(found)


GLOBAL_ALONE = Fusion.model_validate({"global": 1, "entity": 0, "relation": 0, "semantic": 0})


def normalised(weights: Mapping[str, float]) -> Fusion:
    """A fusion from weights of any scale; without a fine layer the global weight is 1."""
    fine = sum(weights.get(name, 0.0) for name in FINE)
    if fine <= 0:
        return GLOBAL_ALONE
    return Fusion.model_validate(
        {name: weights.get(name, 0.0) / fine for name in ("global", *FINE)}
    )
