"""Linear layers as they read fastest on this processor.

oneDNN multiplies fastest by a matrix that was laid out for it beforehand. torch does that only through
private operators (those that its compiler calls), so they are tried and timed once before they are trusted;
where they are missing, fail, are wrong or slower, `torch.nn.functional.linear` does the same.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from sentiment.types import Precision

_BF16 = ("avx512_bf16", "amx_bf16", "bf16")
"""torch's names of what multiplies bfloat16, on Intel's, AMD's and ARM's processors."""
_TRIAL_ROWS = 64
_TRIAL_WIDTH = 768
_TRIALS = 4


def dtype_of(precision: Precision) -> torch.dtype:
    """The number format of that precision; fp32, with a warning, where this processor would emulate it."""
    if precision == "bf16":
        if multiplies_bf16():
            return torch.bfloat16
        warnings.warn("this processor does not multiply bfloat16; the model reads in fp32", stacklevel=2)
    return torch.float32


def multiplies_bf16() -> bool:
    """Whether this processor has instructions for bfloat16: emulated, it is four times slower than fp32."""
    told: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(told.get(name) for name in _BF16)


class Linear:
    """`x @ weight.T + bias` for rows of the weight's number format: (rows, inputs) to (rows, outputs).

    `weight` is (outputs, inputs). With `gelu`, GELU of that (Hendrycks and Gimpel 2016, by erf).
    """

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False) -> None:
        self._bias = bias
        self._gelu = gelu
        self._laid_out = laid_out_pays(weight.dtype)
        self._weight = _lay_out(weight) if self._laid_out else weight

    def __call__(self, x: Tensor) -> Tensor:
        multiply = _multiply if self._laid_out else _multiply_plainly
        return multiply(x, self._weight, self._bias, self._gelu)


@cache
def laid_out_pays(dtype: torch.dtype) -> bool:
    """Whether a matrix laid out beforehand multiplies faster on this processor, and as right. Takes some
    milliseconds, once."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(_TRIAL_ROWS, _TRIAL_WIDTH, generator=draw).to(dtype)
    weight = torch.randn(_TRIAL_WIDTH, _TRIAL_WIDTH, generator=draw).to(dtype)
    bias = torch.randn(_TRIAL_WIDTH, generator=draw).to(dtype)
    with torch.inference_mode():
        try:
            laid_out = _lay_out(weight)
            found = _multiply(x, laid_out, bias, True)
        except (AttributeError, RuntimeError):
            return False
        expected = _multiply_plainly(x, weight, bias, True)
        if not torch.allclose(found.float(), expected.float(), rtol=0.02, atol=0.02):
            return False
        plainly = _seconds(lambda: _multiply_plainly(x, weight, bias, True))
        return _seconds(lambda: _multiply(x, laid_out, bias, True)) < plainly


def _multiply_plainly(x: Tensor, weight: Tensor, bias: Tensor, gelu: bool) -> Tensor:
    found = functional.linear(x, weight, bias)
    return functional.gelu(found) if gelu else found


def _lay_out(weight: Tensor) -> Tensor:
    laid_out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return laid_out


def _multiply(x: Tensor, laid_out: Tensor, bias: Tensor, gelu: bool) -> Tensor:
    after: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, laid_out, bias, *after)
    return found


def _seconds(run: Callable[[], Tensor]) -> float:
    run()
    took = []
    for _ in range(_TRIALS):
        began = time.thread_time()
        run()
        took.append(time.thread_time() - began)
    return min(took)
