"""EfficientNet-Lite2 cut in two: a frozen trunk, whose output is cached, and a tail that trains.

Architecture: Tan and Le, "EfficientNet", ICML 2019; the Lite variants drop squeeze-and-excitation
and use ReLU6. The cut lies before block 15, the last change of resolution: at 288 px the trunk
gives 18 x 18 x 120 and the tail 9 x 9 x 1280.
"""

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.pretrained import EFFICIENTNET_LITE2

CUT_BLOCK = 15
# The first blocks see pixels, and lose their fine differences in bfloat16 (`half.py`).
EXACT_BLOCKS = 2
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0


class Trunk(nn.Module):
    """Stem and blocks before the cut, frozen, batch normalisation folded into the convolutions."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        stem = _folded(network._conv_stem, network._bn0)
        blocks = [_folded_block(block) for block in network._blocks[:CUT_BLOCK]]
        self.first = nn.Sequential(stem, nn.ReLU6(), *blocks[:EXACT_BLOCKS])
        self.rest: nn.Module = nn.Sequential(*blocks[EXACT_BLOCKS:])
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels 0..255 (B, 3, side, side) to activations (B, 120, side/16, side/16)."""
        activations: Tensor = self.rest(self.first((pixels - PIXEL_MEAN) / PIXEL_SCALE))
        return activations


class PointwiseConvolution(nn.Module):
    """A 1 x 1 convolution as the matrix product that it is: in bfloat16 its backward pass is twice
    as fast as in float32 on a CPU, where that of `Conv2d` is slower.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, activations: Tensor) -> Tensor:
        """Activations (B, in, h, w) to (B, out, h, w), both channels last."""
        product = functional.linear(
            activations.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias
        )
        return product.permute(0, 3, 1, 2)


class DepthwiseConvolution(nn.Module):
    """One filter a channel. Where it halves the map it stays in float32: its backward pass in
    bfloat16 is fifteen times as slow on a CPU.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.stride = convolution.stride[0]
        self.requires_grad_(False)

    def forward(self, activations: Tensor) -> Tensor:
        """Activations (B, C, h, w) to (B, C, h / stride, w / stride)."""
        if self.stride == 1:
            return self._convolved(activations)
        with torch.autocast(activations.device.type, enabled=False):
            return self._convolved(activations.float())

    def _convolved(self, activations: Tensor) -> Tensor:
        channels, _, size, _ = self.weight.shape
        return functional.conv2d(
            activations, self.weight, self.bias, self.stride, size // 2, groups=channels
        )


class Tail(nn.Module):
    """Blocks from the cut on, and the head. Folding keeps ImageNet's batch statistics for good:
    small batches would drift from them. The depthwise filters stay as they are: they hold one
    parameter in a hundred and would take a third of a step.
    """

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_folded_block(b) for b in network._blocks[CUT_BLOCK:]))
        self.head = nn.Sequential(_folded(network._conv_head, network._bn1), nn.ReLU6())
        for module in list(self.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
                    setattr(module, name, PointwiseConvolution(child))
                elif isinstance(child, nn.Conv2d):
                    setattr(module, name, DepthwiseConvolution(child))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, activations: Tensor) -> Tensor:
        """Activations (B, 120, h, w) to features (B, 1280, h/2, w/2)."""
        activations = activations.contiguous(memory_format=torch.channels_last)
        features: Tensor = self.head(self.blocks(activations))
        return features


def load_trunk() -> Trunk:
    """The frozen half. Raises WeightsError if the weights are missing or are others."""
    return Trunk(_pretrained())


def load_tail(pretrained: bool) -> Tail:
    """The half that is tuned: with ImageNet's weights, or untrained for a bundle to fill."""
    return Tail(_pretrained() if pretrained else EfficientNet.from_name("efficientnet-lite2"))


def load_classifier() -> nn.Linear:
    """ImageNet's 1,000 classes from the mean of the last map, 1280 features; frozen."""
    classifier: nn.Linear = _pretrained()._fc
    return classifier.eval().requires_grad_(False)


def _pretrained() -> EfficientNet:
    network = EfficientNet.from_name("efficientnet-lite2").eval()
    network.load_state_dict(
        torch.load(EFFICIENTNET_LITE2.locate(), map_location="cpu", weights_only=True)
    )
    return network


def _folded(convolution: nn.Conv2d, normalisation: nn.BatchNorm2d) -> nn.Module:
    return fuse_conv_bn_eval(convolution.eval(), normalisation.eval()).requires_grad_(True)


def _folded_block(block: nn.Module) -> nn.Module:
    """The block with each convolution's batch normalisation folded in: 0.7 of the time."""
    for convolution, normalisation in (
        ("_expand_conv", "_bn0"),
        ("_depthwise_conv", "_bn1"),
        ("_project_conv", "_bn2"),
    ):
        if hasattr(block, convolution):
            folded = _folded(getattr(block, convolution), getattr(block, normalisation))
            setattr(block, convolution, folded)
            setattr(block, normalisation, nn.Identity())
    block._swish = nn.ReLU6()
    return block
