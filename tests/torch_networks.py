"""Small PyTorch modules, and EfficientNet-Lite0 with the names of its published checkpoint.

EfficientNet: Tan and Le 2019, https://arxiv.org/abs/1905.11946; the Lite variants have no squeeze-and-excite,
ReLU6 for swish and a stem that is not scaled.
"""

from collections import OrderedDict
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

LITE0_STAGES = [
    # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME"."""

    def forward(self, x):
        margins = []
        for length, kernel, step in zip(
            x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((-(-length // step) - 1) * step + kernel - length, 0)
            margins += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, margins))


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Lite0Block(nn.Module):
    def __init__(self, channels, kernel, stride, expansion, filters):
        super().__init__()
        wide = channels * expansion
        if expansion != 1:
            self._expand_conv, self._bn0 = SameConv(channels, wide, 1, bias=False), norm(wide)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = norm(wide)
        self._project_conv, self._bn2 = SameConv(wide, filters, 1, bias=False), norm(filters)
        self.adds = stride == 1 and channels == filters

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = functional.relu6(self._bn0(self._expand_conv(y)))
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class Lite0(nn.Module):
    """EfficientNet-Lite0 with its classifier."""

    default_cfg: ClassVar = {"input_size": (3, 224, 224), "mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), norm(32)
        blocks, channels = [], 32
        for repeats, kernel, stride, expansion, filters in LITE0_STAGES:
            for number in range(repeats):
                blocks.append(Lite0Block(channels, kernel, 1 if number else stride, expansion, filters))
                channels = filters
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv(320, 1280, 1, bias=False), norm(1280)
        self._dropout, self._fc = nn.Dropout(0.2), nn.Linear(1280, 1000)

    def forward(self, x):
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(functional.adaptive_avg_pool2d(x, 1).flatten(1)))


class Residual(nn.Module):
    """A small network in ResNet's manner, with a depthwise and a grouped convolution and statistics."""

    def __init__(self, classes=3):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.depthwise, self.bn2 = nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8)
        self.grouped, self.bn3 = nn.Conv2d(8, 8, 3, 1, 1, groups=2), nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, 12, 1)
        self.fc = nn.Linear(12, classes)
        for norm_layer in (self.bn1, self.bn2, self.bn3):
            nn.init.uniform_(norm_layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm_layer.running_var, 0.5, 2)
            nn.init.uniform_(norm_layer.weight, 0.5, 2)

    def features(self, x):
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        x = x + self.bn3(self.grouped(functional.relu6(self.bn2(self.depthwise(x)))))
        return self.last(functional.relu(x))

    def forward(self, x):
        return self.fc(functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class Transformer(nn.Module):
    """A small network in ViT's manner, for pictures of 32 px."""

    default_cfg: ClassVar = {"input_size": (3, 32, 32)}

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 17, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(16)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(16, 5)))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.heads(self.norm(self.encoder(x))[:, 0])


class Branching(nn.Module):
    """What it computes depends on what a picture shows, which no graph can hold."""

    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


class Unusual(nn.Module):
    """Uses an operation that is not carried over."""

    def __init__(self):
        super().__init__()
        self.inner = nn.LPPool2d(2, 4)
        self.odd = Cumulative()

    def forward(self, x):
        return self.odd(self.inner(x)).mean((2, 3))


class Cumulative(nn.Module):
    def forward(self, x):
        return torch.cumprod(x, 1)


def residual():
    return Residual()


def needs_an_argument(classes):
    return Residual(classes)


def no_module():
    return 3
