"""Training losses, each a pure function of scores (`docs/method.md` 4)."""

import torch
from torch import Tensor
from torch.nn import functional

BINARY_SCALE = 0.1


def contrastive(scores: Tensor, owners: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE in both directions, other captions of the same picture masked.

    scores: (I, T) cosines; owners: (T,) the picture of each text; scale: inverse temperature.
    """
    logits = scores * scale
    own = torch.arange(len(owners), device=owners.device)
    others = (owners[:, None] == owners[None, :]).fill_diagonal_(False)
    picture_to_text = logits[owners].masked_fill(others, -torch.inf)
    return (
        functional.cross_entropy(logits.T, owners) + functional.cross_entropy(picture_to_text, own)
    ) / 2


def hinge(scores: Tensor, owners: Tensor, margin: float, hardest: bool) -> Tensor:
    """Hinge in both directions, mean over the texts (VSE++, BMVC 2018, eq. 5 and 6).

    scores: (I, T) cosines; owners: (T,) the picture of each text; hardest: with the hardest
    negative of the batch, or with the mean over all of them.
    """
    pictures = torch.arange(scores.shape[0], device=owners.device)
    positive = scores[owners, torch.arange(len(owners), device=owners.device)]
    own = pictures[:, None] == owners[None, :]
    # Against the texts of other pictures for each text's own picture, and the other way round.
    of_texts = functional.relu(margin + scores - positive).masked_fill(own, 0)
    of_pictures = functional.relu(margin + scores[owners].T - positive).masked_fill(
        own[owners].T, 0
    )
    if hardest:
        return (of_texts.amax(0) + of_pictures.amax(0)).mean()
    return (_mean_over(of_texts, ~own) + _mean_over(of_pictures, ~own[owners].T)).mean()


def _mean_over(costs: Tensor, counted: Tensor) -> Tensor:
    return costs.sum(0) / counted.sum(0).clamp_min(1)


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Divergence of the student's ranking from the teacher's, both directions (ALADIN, 2022).

    student, teacher: (I, T) logits. The teacher's gradient is stopped.
    """
    teacher = teacher.detach()
    by_text = functional.kl_div(
        student.T.log_softmax(-1), teacher.T.softmax(-1), reduction="batchmean"
    )
    by_picture = functional.kl_div(
        student.log_softmax(-1), teacher.softmax(-1), reduction="batchmean"
    )
    return (by_text + by_picture) / 2


def tag_prediction(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy summed over the tags, mean over the batch, in units of ten tags."""
    summed = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return summed * BINARY_SCALE / len(logits)


def consistency(picture_logits: Tensor, text_logits: Tensor, owners: Tensor) -> Tensor:
    """Symmetric divergence of the two tag predictions of each matching pair, as above in scale."""
    left, right = picture_logits[owners], text_logits
    # For Bernoulli distributions KL(p, q) + KL(q, p) = (p - q)(logit p - logit q).
    gap = (left.sigmoid() - right.sigmoid()) * (left - right)
    return gap.sum() * BINARY_SCALE / len(right)
