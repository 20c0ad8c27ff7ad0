"""The folded halves are the package's network."""

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from model import efficientnet
from model.pretrained import EFFICIENTNET_LITE2


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    """Pictures (2, 3, 96, 96) in 0..255 with large shapes and some grain."""
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.uniform(0, 255, (2, 3, 6, 6)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=96, mode="bicubic")
    grain = torch.from_numpy(random.normal(0, 8, (2, 3, 96, 96)).astype(np.float32))
    return (smooth + grain).clamp(0, 255)


def test_trunk_and_tail_together_are_the_unfolded_network(pixels: torch.Tensor) -> None:
    network = EfficientNet.from_name("efficientnet-lite2").eval()
    network.load_state_dict(torch.load(EFFICIENTNET_LITE2.locate(), weights_only=True))
    with torch.inference_mode():
        expected = network.extract_features((pixels - 127) / 128)
        activations = efficientnet.load_trunk()(pixels)
        found = efficientnet.load_tail(pretrained=True).eval()(activations)
    assert activations.shape == (2, 120, 6, 6)
    assert found.shape == expected.shape == (2, 1280, 3, 3)
    scale = float(expected.abs().max())
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-3 * scale)
    assert scale > 0.5


def test_trunk_and_depthwise_filters_are_frozen_and_the_rest_of_the_tail_trains() -> None:
    trunk, tail = efficientnet.load_trunk(), efficientnet.load_tail(pretrained=False)
    assert not any(parameter.requires_grad for parameter in trunk.parameters())
    for name, parameter in tail.named_parameters():
        assert parameter.requires_grad is ("_depthwise_conv" not in name)
    kinds = {type(m) for half in (trunk, tail) for m in half.modules()}
    assert torch.nn.BatchNorm2d not in kinds


def test_bfloat16_gives_nearly_the_same_features_and_gradients() -> None:
    tail = efficientnet.load_tail(pretrained=True)
    activations = torch.rand(2, 120, 6, 6, generator=torch.Generator().manual_seed(0))
    found = []
    for enabled in (False, True):
        tail.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled):
            features = tail(activations).float()
        features.square().mean().backward()
        gradient = tail.blocks[0]._expand_conv.weight.grad
        assert gradient is not None
        found.append((features.detach(), gradient.clone()))
    for exact, rough in zip(*found, strict=True):
        assert float((exact - rough).norm() / exact.norm()) < 0.1


def test_an_untrained_tail_takes_the_pretrained_weights() -> None:
    pretrained, untrained = efficientnet.load_tail(True), efficientnet.load_tail(False)
    untrained.load_state_dict(pretrained.state_dict())
    activations = torch.rand(1, 120, 4, 4)
    with torch.inference_mode():
        np.testing.assert_allclose(pretrained(activations), untrained(activations), atol=1e-6)
