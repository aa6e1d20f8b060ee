"""Each operation against PyTorch, in modules of one or two layers."""

import numpy as np
import pytest
import tensorflow as tf

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as f  # noqa: E402
from torch_networks import Branching, Residual, Transformer, Unusual  # noqa: E402

from tfautolabel.backbones.torch_source.exported import export  # noqa: E402
from tfautolabel.backbones.torch_source.network import Network  # noqa: E402

SIZE = 11
"""Odd, so that strides leave something over."""


class Apply(nn.Module):
    """A function of feature maps (n, 4, 11, 11) as a module, behind a convolution that makes them."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.function = function if isinstance(function, nn.Module) else Function(function)

    def forward(self, x):
        return self.function(self.conv(x)).flatten(1)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("places", torch.tensor([3, 0, 2]))
        self.scale = nn.Parameter(torch.randn(4, 1, 1))
        self.square = nn.Parameter(torch.randn(11, 5))

    def forward(self, x):
        return self.function(self, x)


def channel_shuffle(m, x):
    return x.view(x.shape[0], 2, 2, 11, 11).transpose(1, 2).reshape(x.shape[0], 4, 11, 11)


def squeeze_and_excite(m, x):
    return x * torch.sigmoid(x.mean((2, 3), keepdim=True) * m.scale)


def windows(m, x):
    x = torch.roll(x, (-1, -2), (2, 3))[:, :, :10, :10].permute(0, 2, 3, 1)
    return x.view(-1, 2, 5, 2, 5, 4).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 25, 4)


def attention(m, x):
    places = x.flatten(2).transpose(1, 2)[:, None]
    q, k = places.repeat(1, 2, 1, 1).chunk(2, -1)
    v = places.expand(-1, 2, -1, -1)
    mask = torch.ones(121, 121, dtype=torch.bool).tril()
    seen = f.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return seen + f.scaled_dot_product_attention(q, k, v, attn_mask=mask * 0.3, scale=0.1) + causal(q, k, v)


def causal(q, k, v):
    return f.scaled_dot_product_attention(q, k, v, is_causal=True)


def statistics(m, x):
    return torch.cat([x.var((2, 3)), x.amax(1).mean(1), x.sum(3).amin(2), x.std(1).norm(dim=2)], 1)


def made(m, x):
    return x + torch.arange(11) + torch.ones(4, 1, 1) * torch.full((11,), 0.5) + torch.zeros_like(x)


LAYERS = {
    "conv-strided": nn.Conv2d(4, 6, 3, 2, 1),
    "conv-same": nn.Conv2d(4, 6, (3, 5), padding="same"),
    "conv-unequal": nn.Conv2d(4, 4, 3, (1, 2), (0, 2), groups=4),
    "conv-dilated": nn.Conv2d(4, 6, 3, 1, 2, dilation=2),
    "conv-grouped": nn.Conv2d(4, 6, 3, 2, 1, groups=2),
    "depthwise-multiplied": nn.Conv2d(4, 8, 3, 2, 1, groups=4),
    "depthwise-dilated": nn.Conv2d(4, 4, 3, 1, 2, groups=4, dilation=2),
    "conv-padded-ahead": nn.Sequential(nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(4, 6, 3, 2, bias=False)),
    "reflected": nn.ReflectionPad2d((1, 2, 3, 0)),
    "max-pool": nn.MaxPool2d(3, 2, 1),
    "max-pool-up": nn.MaxPool2d(3, 2, ceil_mode=True),
    "max-pool-half": nn.MaxPool2d(2, 4, 1, ceil_mode=True),
    "average-pool": nn.AvgPool2d(3, 2, 1),
    "average-pool-up": nn.AvgPool2d(4, 3, 1, ceil_mode=True),
    "average-pool-seen": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average-pool-divided": nn.AvgPool2d(3, 2, divisor_override=2),
    "adaptive": nn.AdaptiveAvgPool2d((3, 5)),
    "adaptive-max": nn.AdaptiveMaxPool2d((3, 5)),
    "group-norm": nn.GroupNorm(2, 4),
    "instance-norm": nn.InstanceNorm2d(4, affine=True),
    "pixel-shuffle": nn.PixelShuffle(2),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear-down": nn.Upsample(size=(5, 7), mode="bilinear"),
    "bilinear-corners": nn.Upsample(size=(5, 17), mode="bilinear", align_corners=True),
    "nearest": nn.Upsample(size=(5, 17)),
    "activations": nn.Sequential(
        *[nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.ELU(0.5), nn.Hardswish(), nn.Mish(), nn.PReLU(4)],
        *[nn.LeakyReLU(0.1), nn.Softplus(2.0), nn.Hardsigmoid(), nn.Hardtanh(0.2, 0.8), nn.Tanh(), nn.CELU()],
    ),
    "linear-on-maps": nn.Linear(11, 3),
    "layer-norm-on-maps": nn.LayerNorm([11, 11]),
    "channel-shuffle": channel_shuffle,
    "squeeze-and-excite": squeeze_and_excite,
    "windows": windows,
    "attention": attention,
    "weight-standardised": lambda m, x: f.conv2d(x, (m.scale - m.scale.mean()).expand(4, 4, 1, 1)),
    "arithmetic": lambda m, x: (2 - x) / (x.abs() + 1) ** 1.5 + torch.maximum(x, -x * m.scale) // 0.3,
    "conditions": lambda m, x: torch.where(x > 0.1, x, 2.0).masked_fill(x < -0.1, -7.0),
    "statistics": statistics,
    "cuts": lambda m, x: torch.cat([*x.split(3, 1), x[:, 1:3], x[:, -1:], x.flip(1, 3)[:, ::2]], 1),
    "stacked": lambda m, x: torch.stack(x.unbind(1)[::-1], 2),
    "places": lambda m, x: x[:, m.places] + x.index_select(1, m.places),
    "products": lambda m, x: torch.einsum("nchw,wk->nhck", x, m.square) + (x @ m.square).transpose(1, 2),
    "softmax": lambda m, x: f.softmax(x, 1) + f.log_softmax(x, -1),
    "made": made,
    "whole-numbers": lambda m, x: x * (torch.arange(11) % 3 == 0),
    "batch-in-shape": lambda m, x: x.reshape(x.shape[0] * 4, 121).view(-1, x.size(0), 121).mean(0),
    "half": lambda m, x: f.normalize(x.double(), dim=1).float(),
}


def both(module, size=SIZE, count=3):
    """What PyTorch and TensorFlow make of the same pictures."""
    torch.manual_seed(0)
    module.eval()
    pictures = np.random.default_rng(0).random((count, size, size, 3), np.float32)
    with torch.no_grad():
        expected = module((torch.from_numpy(pictures).permute(0, 3, 1, 2) - 0.5) / 0.25).numpy()
    network = Network(export(module, size), [0.5] * 3, [0.25] * 3)
    spec = tf.TensorSpec([None, size, size, 3])
    return expected, tf.function(network, input_signature=[spec], autograph=False)(pictures).numpy()


@pytest.mark.parametrize("name", LAYERS)
def test_operation(name):
    module = Apply(LAYERS[name])
    for count in (1, 3):
        expected, received = both(module, count=count)
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("make", [Residual, Transformer])
def test_network(make):
    expected, received = both(make(), 32)
    np.testing.assert_allclose(received, expected, atol=1e-5 * np.abs(expected).max())


def test_vector_norms_and_rows():
    rows = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.Flatten(2), nn.Conv1d(6, 6, 5, 2, 2), nn.BatchNorm1d(6), nn.Flatten()
    )
    expected, received = both(rows)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_trained_values_are_variables_and_statistics_do_not_move(tmp_path):
    Network(export(Residual().eval(), 32), [0.5] * 3, [0.25] * 3).save(tmp_path / "module", 32)
    loaded = tf.saved_model.load(str(tmp_path / "module"))
    names = {variable.name.split(":")[0] for variable in loaded.trainable_variables}
    assert {"conv1_weight", "bn1_gamma", "bn1_beta", "depthwise_weight", "fc_bias"} <= names
    assert len(names) == len(list(Residual().parameters()))
    moving = {v.name.split(":")[0] for v in loaded.variables} - names
    assert moving == {f"bn{i}_{name}" for i in (1, 2, 3) for name in ("moving_mean", "moving_variance")}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded(tf.random.stateless_uniform((2, 32, 32, 3), (0, 0))) ** 2)
    gradients = tape.gradient(loss, loaded.trainable_variables)
    assert all(np.abs(gradient.numpy()).max() > 0 for gradient in gradients)


def test_gradients_are_those_of_pytorch():
    module = Residual().eval()
    network = Network(export(module, 32), [0] * 3, [1] * 3)
    pictures = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(tf.constant(pictures)) ** 2)
    variable = network._variables["p_bn2_weight"].variable
    received = tape.gradient(loss, variable).numpy()
    (module(torch.from_numpy(pictures).permute(0, 3, 1, 2)) ** 2).sum().backward()
    expected = module.bn2.weight.grad.numpy()
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_convolutions_stay_in_one_order():
    """A network of convolutions needs no transposition at all."""
    network = Network(export(Residual().eval(), 32), [0.5] * 3, [0.25] * 3)
    spec = tf.TensorSpec([None, 32, 32, 3])
    graph = tf.function(network, autograph=False).get_concrete_function(spec).graph
    assert [op.name for op in graph.get_operations() if op.type == "Transpose"] == []


def test_architecture_says_what_is_computed_and_not_with_which_weights():
    first = export(Residual().eval(), 32).architecture
    assert export(Residual().eval(), 32).architecture == first
    other = Residual().eval()
    other.maxpool.padding = 0
    assert export(other, 32).architecture != first
    assert export(Residual().eval(), 64).architecture == first


def test_operation_without_a_counterpart_is_named():
    with pytest.raises(ValueError, match=r"the operation aten\.cumprod\.default of Cumulative .*no count"):
        Network(export(Unusual().eval(), 32), [0] * 3, [1] * 3)


def test_operation_in_a_form_that_is_not_carried_over():
    module = Apply(nn.Conv3d(1, 2, 3)).eval()
    module.function = Function(lambda m, x: f.conv3d(x[:, None], torch.ones(1, 1, 1, 1, 1)))
    network = Network(export(module, SIZE), [0] * 3, [1] * 3)
    with pytest.raises(ValueError, match=r"aten\.convolution\.default of .* cannot be carried over: only"):
        network(tf.zeros((1, SIZE, SIZE, 3)))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Branching, "torch.export could not make one graph of Branching: .*data-dependent"),
        (lambda: Apply(lambda m, x: x.view(2, -1)), "torch.export could not make one graph of Apply: "),
        (lambda: nn.Conv2d(4, 4, 1), "torch.export could not make one graph of Conv2d: "),
    ],
)
def test_what_cannot_be_exported(make, reason):
    with pytest.raises(ValueError, match=reason) as raised:
        export(make().eval(), 32)
    assert "\n" not in str(raised.value)
