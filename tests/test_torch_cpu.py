"""The installation takes torch's CPU build, never CUDA by accident."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

_spec = importlib.util.spec_from_file_location("torch_cpu", Path(__file__).parents[1] / ".ci/torch_cpu.py")
assert _spec is not None
assert _spec.loader is not None
torch_cpu = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(torch_cpu)


@pytest.mark.parametrize(
    ("build", "requires", "cuda"),
    [
        pytest.param("2.13.0+cpu", ["sympy>=1.13"], False, id="a CPU build says so"),
        pytest.param("2.13.0+cu130", ["sympy>=1.13"], True, id="a CUDA build says so"),
        pytest.param(
            "2.13.0", ["nvidia-cudnn-cu13==9.2; platform_system == 'Linux'"], True, id="PyPI's for Linux"
        ),
        pytest.param("2.13.0", ["cuda-toolkit[cublas]==13.0.3"], True, id="CUDA under another name"),
        pytest.param("2.13.0", ["triton==3.7.1"], True, id="and its compiler"),
        pytest.param("2.13.0", ["sympy>=1.13", "jinja2"], False, id="PyPI's for 64-bit ARM was plain"),
        pytest.param("2.13.0", ["nvidia-x; extra == 'gpu'"], False, id="nobody asked for the extra"),
        pytest.param("2.13.0", [], False, id="requires nothing"),
    ],
)
def test_a_cuda_build_is_known(build: str, requires: list[str], cuda: bool) -> None:
    assert torch_cpu.brings_cuda({"version": build, "requires_dist": requires}) is cuda


WHEELS: dict[str, dict[str, Any]] = {
    "cpu": {"metadata": {"version": "2.13.0+cpu"}},
    "cuda": {"metadata": {"version": "2.13.0", "requires_dist": ["triton==3.7.1"]}},
}


@pytest.mark.parametrize(
    ("configured", "pytorch", "taken_from"),
    [
        pytest.param("cpu", "cpu", "configured", id="what pip has is good"),
        pytest.param("cuda", "cpu", "pytorch", id="PyPI has CUDA"),
        pytest.param(None, "cpu", "pytorch", id="pip's sources have none"),
        pytest.param("cuda", None, None, id="no CPU build anywhere"),
        pytest.param(None, None, None, id="nothing anywhere"),
    ],
)
def test_where_torch_is_taken_from(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    configured: str | None,
    pytorch: str | None,
    taken_from: str | None,
) -> None:
    installed = []
    monkeypatch.setattr(torch_cpu.sys, "platform", "linux")
    monkeypatch.setattr(torch_cpu, "is_installed", lambda pinned: False)
    monkeypatch.setattr(
        torch_cpu, "resolve", lambda pinned, source: WHEELS.get(pytorch if source else configured)
    )
    monkeypatch.setattr(torch_cpu.subprocess, "call", lambda command: installed.append(command) or 0)

    status = torch_cpu.main()

    if taken_from is None:
        assert status == 1
        assert installed == []
        assert "no CPU build" in capsys.readouterr().err
    else:
        assert status == 0
        assert [torch_cpu.CPU_INDEX in command for command in installed] == [taken_from == "pytorch"]


def test_nothing_is_asked_where_it_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_cpu, "resolve", lambda pinned, source: pytest.fail("asked pip"))
    assert torch_cpu.is_installed(f"torch=={version('torch').partition('+')[0]}")
    assert not torch_cpu.is_installed("torch==1.0.0")
    assert torch_cpu.main() == 0
