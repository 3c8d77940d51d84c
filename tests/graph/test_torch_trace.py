"""The same network through torch and through ONNX: the same costs, and the same outputs."""

import math
import warnings
from collections import Counter

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="a trace is of a torch module")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from nas_proxy.errors import InputError  # noqa: E402
from nas_proxy.graph import TensorGraph, annotate, from_onnx, from_torch, to_onnx  # noqa: E402


def costs(graph: TensorGraph) -> dict[str, Counter]:
    """MACs and bytes by ONNX operator and by kind of operator."""
    sums: dict[str, Counter] = {}
    for cost in annotate(graph).costs:
        for key in (cost.node.operator, cost.kind):
            sums.setdefault(key, Counter()).update(
                macs=cost.macs, parameters=cost.parameter_bytes, read=cost.input_bytes, made=cost.output_bytes
            )
    return sums


def exported(module: nn.Module, *inputs: torch.Tensor) -> TensorGraph:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module.eval(), inputs, dynamo=True, verbose=False)
    return from_onnx(program.model_proto)


def check(module: nn.Module, *inputs: torch.Tensor, compare_exporter: bool = True) -> TensorGraph:
    torch.manual_seed(0)
    for layer in module.modules():  # statistics that matter
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            if layer.affine:
                nn.init.normal_(layer.bias)
    graph = from_torch(module, list(inputs))
    with torch.no_grad():
        expected = module.eval()(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString())
    found = session.run(None, dict(zip(graph.inputs, (x.numpy() for x in inputs), strict=True)))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-3 * float(b.abs().max()) + 1e-6)
    if compare_exporter:
        assert costs(graph) == costs(exported(module, *inputs))
    return graph


class Bert(nn.Module):
    """Token and position embeddings, one post-norm encoder layer with its own attention, a pooled output."""

    def __init__(self, width: int = 32, heads: int = 4, tokens: int = 12):
        super().__init__()
        self.token, self.position = nn.Embedding(50, width), nn.Embedding(tokens, width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.pool, self.heads = nn.Linear(width, width), heads

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, tokens = ids.shape
        x = self.norms[0](self.token(ids) + self.position(torch.arange(tokens)))
        q, k, v = (f(x).view(batch, tokens, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + (1 - mask[:, None, None, :]) * -1e4
        x = self.norms[1](x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, -1)))
        x = self.norms[2](x + self.down(functional.gelu(self.up(x))))
        return torch.tanh(self.pool(x[:, 0]))


def test_bert_like_encoder():
    graph = check(Bert(), torch.randint(0, 50, (2, 12)), torch.ones(2, 12))
    assert annotate(graph).by_kind["matmul"].macs == 2 * 2 * 12 * 12 * 32


def test_torch_encoder_layer():
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = nn.TransformerEncoder(layer, 1)
    check(encoder, torch.randn(2, 7, 32), compare_exporter=False)


def test_vit():
    timm = pytest.importorskip("timm")
    vit = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2)
    check(vit, torch.randn(1, 3, 32, 32))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["mobilenetv3_large_100", "resnet50", "efficientnet_b0", "inception_v3", "densenet121", "vit_tiny_patch16_224"],
)
def test_timm_networks(name):
    timm = pytest.importorskip("timm")
    size = 224 if name.startswith("vit") else 96
    check(timm.create_model(name), torch.randn(1, 3, size, size))


def test_resnet50_at_the_right_size():
    timm = pytest.importorskip("timm")
    annotation = annotate(from_torch(timm.create_model("resnet50"), (1, 3, 224, 224)), "int8")
    assert annotation.macs == 4_089_184_256  # 4.1 G: published
    assert annotation.parameter_bytes == 25_503_912


def test_nasbench201_cell():
    from nas_proxy.spaces import get_space

    space = get_space("nasbench201")
    arch = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    check(space.build(arch, cells=1), torch.randn(1, 3, 32, 32))


def test_what_networks_do_besides_convolving():
    class Odds(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.deconv = nn.Conv2d(3, 8, 3, stride=2), nn.ConvTranspose2d(8, 4, 2, 2)
            self.first, self.free = nn.BatchNorm2d(3), nn.BatchNorm2d(8, affine=False)

        def forward(self, x):
            x = self.free(self.conv(functional.pad(self.first(x), (0, 1, 0, 1))))
            y = functional.avg_pool2d(x, 3, 1, 1) + functional.max_pool2d(x, 3, 1, 1)
            a, b = y.chunk(2, 1)
            z = torch.cat([a, b * 2 - 1, torch.stack([a, b]).mean(0)], 1).clamp(0, 6)
            u = functional.channel_shuffle(self.deconv(x), 2)
            u = functional.pixel_shuffle(u, 2)[:, :, ::2, 1:]
            scores = functional.scaled_dot_product_attention(x, x, x, is_causal=True)
            return (
                functional.silu(z),
                functional.leaky_relu(u, 0.1),
                1 - scores.amax(1),
                functional.adaptive_avg_pool2d(x, 4),
            )

    check(Odds(), torch.randn(1, 3, 16, 16))


def test_changes_in_place_are_seen_by_later_readers():
    class InPlace(nn.Module):
        def forward(self, x):
            y = x * 2
            y += 1
            z = y - 3
            y.relu_()
            return y + z

    check(InPlace(), torch.randn(2, 5))


def test_changes_through_a_view_take_the_exporters_way():
    class ThroughView(nn.Module):
        def forward(self, x):
            y = x * 2
            y[:, 0].add_(5)
            return y + 1

    check(ThroughView(), torch.randn(2, 5), compare_exporter=False)


def test_channels_are_shuffled_without_the_exporter(monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", None)
    graph = from_torch(nn.ChannelShuffle(2), (1, 8, 4, 4))
    assert [node.operator for node in graph.nodes] == ["Reshape", "Transpose", "Reshape"]


def test_an_operator_without_translation_takes_the_exporters_way():
    class Rolled(nn.Module):
        def forward(self, x):
            return torch.roll(x, 1, 1)

    check(Rolled(), torch.randn(2, 5))


def test_the_module_is_left_as_it_was():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    first, second = from_torch(module, (1, 3, 4, 4)), from_torch(module, (1, 3, 4, 4))
    assert first == second
    assert [part.training for part in module] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("shapes", [(), (1, 0, 3), (1.5, 2), "1x3", [(1, 3), ()]])
def test_shapes_that_are_none(shapes):
    with pytest.raises(InputError, match="example_shapes: expected sizes"):
        from_torch(nn.ReLU(), shapes)


def test_errors_of_tracing_name_module_and_shape():
    with pytest.raises(InputError, match=r"Linear cannot be traced with inputs of shape \(1, 4\)"):
        from_torch(nn.Linear(3, 2), (1, 4))
    with pytest.raises(InputError, match=r"expected a torch.nn.Module, found int"):
        from_torch(3, (1, 3))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="meta device"):
        from_torch(nn.Linear(3, 2, device="meta"), (1, 3))
