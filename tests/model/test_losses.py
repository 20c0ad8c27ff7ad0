"""Training losses by hand."""

import numpy as np
import pytest
import torch

from model.losses import consistency, contrastive, distillation, hinge, tag_prediction

ONE = torch.tensor(1.0)


def cross_entropy(logits: list[float], right: int) -> float:
    return float(np.log(np.exp(logits).sum()) - logits[right])


def test_contrastive_by_hand() -> None:
    scores = torch.tensor([[1.0, 0.2], [0.4, 0.8]])
    found = contrastive(scores, torch.tensor([0, 1]), torch.tensor(2.0))
    by_text = (cross_entropy([2.0, 0.8], 0) + cross_entropy([0.4, 1.6], 1)) / 2
    by_picture = (cross_entropy([2.0, 0.4], 0) + cross_entropy([0.8, 1.6], 1)) / 2
    assert float(found) == pytest.approx((by_text + by_picture) / 2)


def test_contrastive_does_not_count_the_other_captions_of_a_picture_as_wrong() -> None:
    scores = torch.tensor([[1.0, 3.0, 0.2], [0.1, 0.3, 0.9]])
    found = contrastive(scores, torch.tensor([0, 0, 1]), ONE)
    by_text = (
        cross_entropy([1.0, 0.1], 0) + cross_entropy([3.0, 0.3], 0) + cross_entropy([0.2, 0.9], 1)
    ) / 3
    by_picture = (
        cross_entropy([1.0, 0.2], 0)  # caption 1 is masked
        + cross_entropy([3.0, 0.2], 0)  # caption 0 is masked
        + cross_entropy([0.9, 0.1, 0.3], 0)
    ) / 3
    assert float(found) == pytest.approx((by_text + by_picture) / 2, rel=1e-5)


def test_hardest_hinge_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.75], [0.2, 0.1, 0.9]])
    found = hinge(scores, torch.tensor([0, 0, 1]), margin=0.2, hardest=True)
    # Hardest pictures: 0.2, 0.1, 0.75. Hardest texts: 0.75 for picture 0, 0.2 for picture 1.
    by_picture = [max(0, 0.2 + 0.2 - 0.9), max(0, 0.2 + 0.1 - 0.8), max(0, 0.2 + 0.75 - 0.9)]
    by_text = [max(0, 0.2 + 0.75 - 0.9), max(0, 0.2 + 0.75 - 0.8), max(0, 0.2 + 0.2 - 0.9)]
    assert float(found) == pytest.approx(sum(by_picture + by_text) / 3)


def test_hinge_over_all_negatives_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.75], [0.2, 0.1, 0.9]])
    found = hinge(scores, torch.tensor([0, 0, 1]), margin=0.2, hardest=False)
    # Each text has one negative picture; picture 0 has one negative text, picture 1 has two.
    by_picture = [0.0, 0.0, 0.2 + 0.75 - 0.9]
    by_text = [0.2 + 0.75 - 0.9, 0.2 + 0.75 - 0.8, 0.0]
    assert float(found) == pytest.approx(sum(by_picture + by_text) / 3)


@pytest.mark.parametrize("hardest", [True, False])
def test_hinge_of_a_batch_without_negatives_is_zero_and_differentiable(hardest: bool) -> None:
    scores = torch.tensor([[0.3, 0.5]], requires_grad=True)
    loss = hinge(scores, torch.tensor([0, 0]), 0.2, hardest)
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad is not None and bool(torch.isfinite(scores.grad).all())


def test_distillation_is_zero_for_equal_scores_and_positive_otherwise() -> None:
    scores = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    assert float(distillation(scores, scores)) == pytest.approx(0, abs=1e-6)
    assert float(distillation(scores, 2 * scores)) > 0.01


def test_distillation_moves_the_student_alone() -> None:
    student, teacher = torch.zeros(2, 2, requires_grad=True), torch.eye(2, requires_grad=True)
    distillation(student, teacher).backward()
    assert student.grad is not None and float(student.grad.abs().sum()) > 0
    assert teacher.grad is None


def test_tag_prediction_by_hand() -> None:
    logits = torch.tensor([[0.0, 2.0], [-1.0, 0.0]])
    targets = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    summed = np.log(2) + np.log1p(np.exp(-2)) + np.log1p(np.exp(-1)) + np.log(2)
    assert float(tag_prediction(logits, targets)) == pytest.approx(0.1 * summed / 2)


def test_consistency_is_zero_for_equal_predictions() -> None:
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    owners = torch.tensor([0, 1, 1])
    assert float(consistency(logits, logits[owners], owners)) == 0


def test_consistency_is_the_symmetric_divergence() -> None:
    p, q = torch.tensor([[0.3]]), torch.tensor([[0.8]])
    found = consistency(p.logit(), q.logit(), torch.tensor([0]))

    def divergence(a: float, b: float) -> float:
        return a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))

    assert float(found) == pytest.approx(0.1 * (divergence(0.3, 0.8) + divergence(0.8, 0.3)))
