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

    `weight` is (outputs, inputs).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._bias = bias
        self._laid_out = laid_out_pays(weight.dtype)
        self._weight = _lay_out(weight) if self._laid_out else weight

    def __call__(self, x: Tensor) -> Tensor:
        if self._laid_out:
            return _multiply(x, self._weight, self._bias)
        return functional.linear(x, self._weight, self._bias)


@cache
def laid_out_pays(dtype: torch.dtype) -> bool:
    """Whether a matrix laid out beforehand multiplies faster on this processor, and as right. Takes a few
    milliseconds, once."""
    draw = torch.Generator().manual_seed(0)
    x, weight = (
        torch.randn(rows, _TRIAL_WIDTH, generator=draw).to(dtype) for rows in (_TRIAL_ROWS, _TRIAL_WIDTH)
    )
    bias = torch.zeros(_TRIAL_WIDTH, dtype=dtype)
    with torch.inference_mode():
        try:
            laid_out = _lay_out(weight)
            found = _multiply(x, laid_out, bias)
        except (AttributeError, RuntimeError):
            return False
        expected = functional.linear(x, weight, bias)
        if not torch.allclose(found.float(), expected.float(), rtol=0.02, atol=0.02):
            return False
        plainly = _seconds(lambda: functional.linear(x, weight, bias))
        return _seconds(lambda: _multiply(x, laid_out, bias)) < plainly


def _lay_out(weight: Tensor) -> Tensor:
    laid_out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return laid_out


def _multiply(x: Tensor, laid_out: Tensor, bias: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, laid_out, bias, "none", [], "")
    return found


def _seconds(run: Callable[[], Tensor]) -> float:
    run()
    took = []
    for _ in range(_TRIALS):
        began = time.thread_time()
        run()
        took.append(time.thread_time() - began)
    return min(took)
