"""Install the CPU build of torch into this Python's environment, never CUDA by accident.

PyPI's torch for Linux brings several GB of CUDA. So before everything else is installed, pip is asked what it
would take from the sources it is configured with; where that is not a CPU build, PyTorch's own index of CPU
builds is asked; where that has none either, this stops rather than install CUDA.
On other systems any wheel is fine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
PIP = [sys.executable, "-m", "pip"]


def main() -> int:
    pinned = re.search(r"^torch==\S+", CONSTRAINTS.read_text(), re.MULTILINE)
    if pinned is None:
        return fail(f"{CONSTRAINTS.name} names no version of torch")
    if sys.platform != "linux" or is_installed(pinned[0]):
        return 0
    for source in ([], ["--index-url", CPU_INDEX]):
        wheel = resolve(pinned[0], source)
        if wheel is not None and not brings_cuda(wheel["metadata"]):
            # Its own dependencies come with everything else, pinned.
            return subprocess.call([*PIP, "install", "--no-deps", *source, pinned[0]])
    return fail(
        f"no CPU build of {pinned[0]}: pip's own sources have only the CUDA build, or none for Python "
        f"{sys.version_info.major}.{sys.version_info.minor}, and {CPU_INDEX} has none or cannot be reached.\n"
        f"With a CPU wheel at hand, install it first: {sys.executable} -m pip install torch-….whl"
    )


def is_installed(pinned: str) -> bool:
    """Whether this very version is here as a CPU build."""
    try:
        torch = distribution("torch")
    except PackageNotFoundError:
        return False
    same = torch.version.partition("+")[0] == pinned.partition("==")[2]
    return same and not brings_cuda({"version": torch.version, "requires_dist": torch.requires or []})


def brings_cuda(metadata: dict[str, Any]) -> bool:
    """Whether a torch is a CUDA build, by its version (`2.13.0+cu130`) or by what it requires."""
    build = metadata["version"].partition("+")[2]
    required = " ".join(line.lower() for line in metadata.get("requires_dist", []) if "extra ==" not in line)
    return build.startswith("cu") or (
        build != "cpu" and re.search(r"nvidia|cuda|triton", required) is not None
    )


def resolve(pinned: str, source: list[str]) -> dict[str, Any] | None:
    """What pip would install, without installing it; None where it finds nothing or nobody answers."""
    ask = [*PIP, "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed", "--report", "-"]
    told = subprocess.run(
        [*ask, "--retries", "1", "--timeout", "15", *source, pinned],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        return None
    wheels: list[dict[str, Any]] = json.loads(told.stdout)["install"]
    return wheels[0]


def fail(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
