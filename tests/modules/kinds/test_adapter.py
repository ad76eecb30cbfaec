"""The maths of bottleneck and invertible adapters against plain formulas, and tensors that do not fit."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import HIDDEN, LAYERS, changed_module, make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Adapter, Bottleneck, Invertible, build_adapter

PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.clamp(min=0),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
    "gelu_new": lambda x: x * 0.5 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3))),
    "leakyrelu": lambda x: x.clamp(min=0) + 0.01 * x.clamp(max=0),
    "swish": lambda x: x / (1 + torch.exp(-x)),
    "tanh": lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
}


def randomised(module: torch.nn.Module) -> dict[str, Tensor]:
    torch.manual_seed(5)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return {name: value.detach() for name, value in module.state_dict().items()}


def changed(module: Module, tensors: Mapping[str, Tensor], **config: Any) -> Module:  # noqa: ANN401 - an adapter's settings
    return changed_module(module, tensors, config, name="changed")


def normed(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5) * scale + shift


def through(bottleneck: Bottleneck) -> tuple[Tensor, ...]:
    """Random h and block input, the block's layer norm of both, and the bottleneck's output."""
    torch.manual_seed(6)
    h, block_input, norm = torch.randn(2, 5, 8), torch.randn(2, 5, 8), torch.nn.LayerNorm(8)
    w = randomised(norm)
    with torch.inference_mode():
        out = bottleneck(h, block_input, norm)
    return h, block_input, normed(h + block_input, w["weight"], w["bias"]), out


@pytest.mark.parametrize("name", PLAIN)
def test_a_bottleneck_is_up_of_act_of_down(name: str) -> None:
    bottleneck = Bottleneck(AdapterConfig(non_linearity=name), 8, 3)
    w = randomised(bottleneck)
    h, _, seen, out = through(bottleneck)
    inner = PLAIN[name](seen @ w["down.weight"].T + w["down.bias"])
    torch.testing.assert_close(out, h + inner @ w["up.weight"].T + w["up.bias"])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, lambda p, h, x, n, norm: h + p(n)),
        ({"scaling": 3.0}, lambda p, h, x, n, norm: h + 3 * p(n)),
        ({"original_ln_before": False}, lambda p, h, x, n, norm: h + p(h)),
        ({"original_ln_after": False}, lambda p, h, x, n, norm: h + p(n)),
        ({"residual_before_ln": False}, lambda p, h, x, n, norm: n + p(n)),
        ({"residual_before_ln": False, "original_ln_before": False}, lambda p, h, x, n, norm: h + p(h)),
        ({"residual_before_ln": "post_add"}, lambda p, h, x, n, norm: h + x + p(n)),
        ({"ln_before": True}, lambda p, h, x, n, norm: h + p(norm("before", n))),
        ({"ln_after": True}, lambda p, h, x, n, norm: h + norm("after", p(n))),
        ({"ln_after": True, "adapter_residual_before_ln": True}, lambda p, h, x, n, norm: norm("after", h + p(n))),
        ({"parallel": True}, lambda p, h, x, n, norm: h + p(x)),
        ({"parallel": True, "scaling": 4.0, "ln_after": True}, lambda p, h, x, n, norm: h + norm("after", 4 * p(x))),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_surrounds_the_bottleneck(settings: dict[str, Any], expected: Callable[..., Tensor]) -> None:
    bottleneck = Bottleneck(AdapterConfig(**settings), 8, 3)
    w = randomised(bottleneck)
    h, block_input, seen, out = through(bottleneck)

    def projected(x: Tensor) -> Tensor:
        return (x @ w["down.weight"].T + w["down.bias"]).clamp(min=0) @ w["up.weight"].T + w["up.bias"]

    def own_norm(place: str, x: Tensor) -> Tensor:
        return normed(x, w[f"norm_{place}.weight"], w[f"norm_{place}.bias"])

    torch.testing.assert_close(out, expected(projected, h, block_input, seen, own_norm))


@pytest.mark.parametrize("name", PLAIN)
def test_the_invertible_block_is_an_additive_coupling(name: str) -> None:
    block = Invertible(8, 3, name)
    w = randomised(block)
    x = torch.randn(2, 5, 8)

    def part(letter: str, half: Tensor) -> Tensor:
        inner = PLAIN[name](half @ w[f"{letter}.0.weight"].T + w[f"{letter}.0.bias"])
        return inner @ w[f"{letter}.2.weight"].T + w[f"{letter}.2.bias"]

    first = x[..., :4] + part("F", x[..., 4:])
    second = x[..., 4:] + part("G", first)
    torch.testing.assert_close(block(x), torch.cat([first, second], -1))


def test_the_inverse_undoes_it() -> None:
    block = Invertible(16, 4, "relu")
    randomised(block)
    x = torch.randn(3, 7, 16)
    assert (block(x) - x).abs().max() > 0.1
    torch.testing.assert_close(block.inverse(block(x)), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(block(block.inverse(x)), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("factor", "size"), [(2, 16), (16, 2), (3, 10), (1000, 1), (0.5, 64)])
def test_the_bottleneck_is_hidden_over_factor(factor: float, size: int) -> None:
    adapter = Adapter(AdapterConfig(reduction_factor=factor), HIDDEN, LAYERS)
    assert {name: list(value.shape) for name, value in adapter.state_dict().items() if name.startswith("layer.1.")} == {
        "layer.1.down.weight": [size, HIDDEN],
        "layer.1.down.bias": [size],
        "layer.1.up.weight": [HIDDEN, size],
        "layer.1.up.bias": [HIDDEN],
    }
    assert all(isinstance(adapter.at("layer", i), Bottleneck) for i in range(LAYERS))
    assert adapter.at("layer", LAYERS) is None
    assert adapter.at("attention", 0) is None
    assert adapter.invertible is None


def test_bottlenecks_stand_where_the_configuration_says() -> None:
    factors = {"0": 2, "default": 4}
    adapter = Adapter(AdapterConfig(reduction_factor=factors, attention=True, output=False, leave_out=(1,)), HIDDEN, 4)
    assert [place for place in ("attention", "layer") for i in range(4) if adapter.at(place, i)] == ["attention"] * 3
    assert adapter.at("attention", 1) is None
    sizes = {name: len(value) for name, value in adapter.state_dict().items() if name.endswith(".down.bias")}
    assert sizes == {"attention.0.down.bias": 16, "attention.2.down.bias": 8, "attention.3.down.bias": 8}
    with pytest.raises(XlrankError, match="no reduction factor for layer 1 and no 'default'"):
        Adapter(AdapterConfig(reduction_factor={"0": 2}), HIDDEN, LAYERS)


def test_the_invertible_block_has_its_own_factor() -> None:
    adapter = Adapter(AdapterConfig(invertible=True, invertible_reduction_factor=4), HIDDEN, LAYERS)
    assert list(adapter.state_dict()["invertible.F.0.weight"].shape) == [4, 16]


def test_a_fresh_adapter_hardly_changes_anything() -> None:
    torch.manual_seed(0)
    bottleneck, h = Bottleneck(AdapterConfig(), HIDDEN, 16), torch.randn(10, HIDDEN)
    with torch.inference_mode():
        assert (bottleneck(h, torch.randn(10, HIDDEN), torch.nn.LayerNorm(HIDDEN)) - h).abs().max() < 0.05


def test_a_modules_tensors_are_taken_over(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "ky", 1)
    adapter = build_adapter(module, (HIDDEN, LAYERS))
    assert adapter.config == AdapterConfig(reduction_factor=2, invertible=True)
    assert all(torch.equal(value, module.tensors[name]) for name, value in adapter.state_dict().items())
    assert not adapter.training
    assert not any(parameter.requires_grad for parameter in adapter.parameters())


def test_half_precision_is_widened_and_the_module_kept(tiny_base: Base) -> None:
    source = make_adapter(tiny_base, "ky", 1)
    module = changed(source, {name: tensor.half() for name, tensor in source.tensors.items()})
    adapter = build_adapter(module, (HIDDEN, LAYERS))
    assert {parameter.dtype for parameter in adapter.parameters()} == {torch.float32}
    assert {tensor.dtype for tensor in module.tensors.values()} == {torch.float16}


def test_converting_an_adapter_leaves_its_module(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "ky", 1)
    before = {name: tensor.clone() for name, tensor in module.tensors.items()}
    build_adapter(module, (HIDDEN, LAYERS)).to(torch.bfloat16)
    assert all(torch.equal(module.tensors[name], tensor) for name, tensor in before.items())


def test_the_head_of_a_ranking_module_is_left_aside(tiny_base: Base) -> None:
    adapter = build_adapter(make_ranking(tiny_base, 1), (HIDDEN, LAYERS))
    assert not any("head" in name for name in adapter.state_dict())


def test_missing_and_unknown_tensors_are_refused(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "ky", 1)
    fewer = {name: tensor for name, tensor in module.tensors.items() if name != "layer.1.up.bias"}
    with pytest.raises(XlrankError, match=r"module 'changed' lacks tensor 'layer\.1\.up\.bias'"):
        build_adapter(changed(module, fewer), (HIDDEN, LAYERS))
    more = dict(module.tensors) | {"layer.2.up.bias": torch.zeros(HIDDEN)}
    with pytest.raises(XlrankError, match=r"module 'changed' has the unknown tensor 'layer\.2\.up\.bias'"):
        build_adapter(changed(module, more), (HIDDEN, LAYERS))


def test_wrong_shapes_are_refused(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "ky", 1)
    with pytest.raises(XlrankError, match=r"layer\.0\.down\.\w+ has shape .*, expected"):
        build_adapter(changed(module, dict(module.tensors), reduction_factor=4), (HIDDEN, LAYERS))
    with pytest.raises(XlrankError, match="lacks tensor"):
        build_adapter(module, (HIDDEN, LAYERS + 1))
    with pytest.raises(XlrankError, match="has shape"):
        build_adapter(module, (2 * HIDDEN, LAYERS))


def test_unknown_settings_are_refused(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "ky", 1)
    with pytest.raises(
        XlrankError, match="unknown activation 'nonsense'; expected relu, gelu, gelu_new, swish, tanh, leakyrelu or"
    ):
        build_adapter(changed(module, dict(module.tensors), non_linearity="nonsense"), (HIDDEN, LAYERS))
    with pytest.raises(XlrankError, match="unknown adapter setting 'residual'; made by a newer xlrank"):
        build_adapter(changed(module, dict(module.tensors), residual=True), (HIDDEN, LAYERS))
    for factor in (0, -1):
        with pytest.raises(XlrankError, match="reduction factors must be positive"):
            AdapterConfig(reduction_factor=factor)
        with pytest.raises(XlrankError, match="reduction factors must be positive"):
            AdapterConfig(reduction_factor={"0": 2, "default": factor})
        with pytest.raises(XlrankError, match="reduction factors must be positive"):
            AdapterConfig(invertible_reduction_factor=factor)
