"""Linear layers are laid out for the processor only where that is right and faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sentiment import linear
from sentiment.linear import Linear, dtype_of, laid_out_pays


@pytest.fixture(autouse=True)
def ask_anew() -> Iterator[None]:
    """What was found out of this processor is forgotten before and after."""
    laid_out_pays.cache_clear()
    yield
    laid_out_pays.cache_clear()


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch is built without oneDNN")
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 0.01)])
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 33, 300])
def test_laid_out_is_as_plain(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, near: float, rows: int, gelu: bool
) -> None:
    draw = torch.Generator().manual_seed(1)
    shapes = ((rows, 48), (96, 48), (96,))
    x, weight, bias = (torch.randn(*shape, generator=draw).to(dtype) for shape in shapes)
    monkeypatch.setattr(linear, "laid_out_pays", lambda _: True)
    with torch.inference_mode():
        found = Linear(weight, bias, gelu)(x)
    assert found.dtype == dtype
    expected = functional.linear(x.float(), weight.float(), bias.float())
    expected = functional.gelu(expected) if gelu else expected
    torch.testing.assert_close(found.float(), expected, rtol=near, atol=near)


def missing(*_: object) -> Tensor:
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")


def failing(*_: object) -> Tensor:
    raise RuntimeError("could not create a primitive")


def wrong(x: Tensor, _: Tensor, bias: Tensor, __: bool) -> Tensor:
    return x.new_zeros(len(x), len(bias))


def slow(x: Tensor, weight: Tensor, bias: Tensor, gelu: bool) -> Tensor:
    ends = time.thread_time() + 0.05
    while time.thread_time() < ends:
        pass
    return quick(x, weight, bias, gelu)


def quick(x: Tensor, weight: Tensor, bias: Tensor, gelu: bool) -> Tensor:
    return functional.gelu(x @ weight.T + bias) if gelu else x @ weight.T + bias


@pytest.mark.parametrize("multiply", [missing, failing, wrong, slow])
def test_what_is_missing_fails_errs_or_dawdles_is_not_used(
    monkeypatch: pytest.MonkeyPatch, multiply: Callable[..., Tensor]
) -> None:
    monkeypatch.setattr(linear, "_lay_out", lambda weight: weight)
    monkeypatch.setattr(linear, "_multiply", multiply)
    assert not laid_out_pays(torch.float32)
    x, weight, bias = torch.ones(2, 3), torch.ones(4, 3), torch.ones(4)
    assert Linear(weight, bias)(x).tolist() == [[4.0] * 4] * 2


def test_what_is_right_and_faster_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_lay_out", lambda weight: weight)
    monkeypatch.setattr(linear, "_multiply", quick)
    monkeypatch.setattr(linear, "_multiply_plainly", slow)
    assert laid_out_pays(torch.float32)


def test_bf16_without_the_hardware_warns_and_is_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": False})
    with pytest.warns(UserWarning, match="does not multiply bfloat16"):
        assert dtype_of("bf16") == torch.float32


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bf16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {name: True})
    assert dtype_of("bf16") == torch.bfloat16
    assert dtype_of("fp32") == torch.float32
