"""What `hub doctor` looks at on this machine. A check says how something is and what mends it; none changes
anything."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.errors import HubError

if TYPE_CHECKING:
    from hub.settings import Settings

State = Literal["ok", "warn", "fail"]
LEAST_PYTHON = (3, 11)
LOW_BYTES, VERY_LOW_BYTES = 2_000_000_000, 200_000_000
SHORTEST_KEY = 32


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing is; `remedy` is empty where nothing is to be done."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def ok(name: str, detail: str) -> Check:
    """It is well."""
    return Check(name, "ok", detail)


def warn(name: str, detail: str, remedy: str) -> Check:
    """It works, and could be better."""
    return Check(name, "warn", detail, remedy)


def fail(name: str, detail: str, remedy: str) -> Check:
    """It does not work."""
    return Check(name, "fail", detail, remedy)


def check_python(settings: Settings) -> Iterator[Check]:
    """New enough."""
    found = platform.python_version()
    if sys.version_info >= LEAST_PYTHON:
        yield ok("python", f"{found} on {platform.system()} {platform.machine()}")
    else:
        yield fail("python", f"{found} is too old", "install Python 3.11 or newer, then `make demo`")


def check_packages(settings: Settings) -> Iterator[Check]:
    """torch, and nothing of CUDA."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        yield fail("packages", "torch is not installed", "pip install -c constraints.txt -e .")
        return
    heavy = sorted({name for each in distributions() if (name := each.name or "").startswith("nvidia-")})
    if heavy:
        yield warn(
            "packages",
            f"torch {torch} came with {len(heavy)} CUDA packages, which are large and not used",
            "make clean, then `make demo` takes the CPU build",
        )
    else:
        yield ok("packages", f"torch {torch}, without CUDA")


def check_time_zones(settings: Settings) -> Iterator[Check]:
    """The data that calendars need."""
    try:
        ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        yield fail("time zones", "no time zone data here", "pip install tzdata")
    else:
        yield ok("time zones", "data is there")


def check_home(settings: Settings) -> Iterator[Check]:
    """A folder that can be written, with room."""
    home = settings.home.absolute()
    nearest = next(each for each in (home, *home.parents) if each.exists())
    if not nearest.is_dir():
        yield fail("home folder", f"{nearest} is no folder", "point HUB_HOME at a folder")
        return
    if not os.access(nearest, os.W_OK):
        yield fail("home folder", f"{nearest} cannot be written", "give its owner the right, or set HUB_HOME")
        return
    free = shutil.disk_usage(nearest).free
    told = f"{home}{'' if home.exists() else ' (made at the first start)'}, {free / 1e9:.1f} GB free"
    if free < VERY_LOW_BYTES:
        yield fail("home folder", told, "make room on this disk")
    elif free < LOW_BYTES:
        yield warn("home folder", told, "make room on this disk soon")
    else:
        yield ok("home folder", told)


def check_secret_key(settings: Settings) -> Iterator[Check]:
    """There, long, and for its owner only."""
    if settings.secret_key and (given := settings.secret_key.get_secret_value()):
        if len(given) < SHORTEST_KEY:
            remedy = (
                "python -c 'import secrets; print(secrets.token_urlsafe(48))' makes a better HUB_SECRET_KEY"
            )
            yield warn("secret key", f"HUB_SECRET_KEY has {len(given)} characters only", remedy)
        else:
            yield ok("secret key", "from HUB_SECRET_KEY")
        return
    path = settings.home / "secret.key"
    if not path.exists():
        yield ok("secret key", f"made into {path} at the first start")
    elif not path.read_text().strip():
        yield fail("secret key", f"{path} is empty", f"restore it from a backup, or delete it: rm {path}")
    elif path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warn("secret key", f"{path} can be read by others", f"chmod 600 {path}")
    else:
        yield ok("secret key", f"{path}, readable by its owner only")


def check_policy(settings: Settings) -> Iterator[Check]:
    """It can be read."""
    from hub.policies.service import policy_text
    from routing.policy import PolicyError, read_policy

    try:
        policy = read_policy(policy_text(settings))
    except OSError as error:
        yield fail(
            "policy",
            f"{error.filename}: {error.strerror}",
            "put the file there, or set HUB_POLICY_FILE",
        )
    except PolicyError as error:
        first, count = error.problems[0], len(error.problems)
        told = f"line {first.line}: {first.field}: {first.message}" + (
            f" (and {count - 1} more)" if count > 1 else ""
        )
        yield fail("policy", told, "hub policy check shows every problem")
    else:
        yield ok("policy", f"{', '.join(rule.name for rule in policy.policies)} in {policy.time_zone}")


def check_pages(settings: Settings) -> Iterator[Check]:
    """What the pages need is built."""
    from hub.web.render import STATIC, load_manifest

    try:
        missing = [name for name in load_manifest().values() if not (STATIC / "built" / name).is_file()]
    except (OSError, ValueError):
        missing = ["manifest.json"]
    if missing:
        yield fail("pages", f"{missing[0]} is not built", "pip install -e . builds what the pages need")
    else:
        yield ok("pages", "styles and scripts are built")


def check_model(settings: Settings) -> Iterator[Check]:
    """It loads, with the right checksum, and scores."""
    import sentiment
    from hub.cli.opening import loading_model

    began = time.perf_counter()
    try:
        with loading_model(settings.model):
            scorer = sentiment.load(
                settings.model,
                intent_model=settings.intent_model or None,
                threads=settings.model_threads or None,
                precision=settings.model_precision,
            )
    except HubError as error:
        remedy = (
            "pip install --force-reinstall --no-deps cem-hub, which brings its weights"
            if settings.model == "default"
            else "download it into this machine's Hugging Face cache, or mend HUB_MODEL"
        )
        yield fail("model", error.detail, remedy)
        return
    loaded = time.perf_counter()
    analysis = scorer.score(["Where is my parcel? I have been waiting for two weeks!"])[0]
    took = (time.perf_counter() - loaded) * 1000
    told = f"{analysis.model}, loaded in {loaded - began:.1f} s, a message in {took:.0f} ms"
    yield ok("model", f"{told}; its checksum is right" if settings.model == "default" else told)
