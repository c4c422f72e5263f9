"""X's published contract (its OpenAPI document), against which the stand-in checks what it takes and gives.

The document is X's and not part of this repository. It is looked for in the folder that the environment
variable `CEM_SPECS` names, and else in `../shared/specs` beside the repository. Where it is absent the check
alone is left out, and one test says so.
"""

from __future__ import annotations

import gzip
import json
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.paths.exceptions import PathNotFound
from openapi_core.testing import MockRequest, MockResponse

_NAME = "x-api-v2-openapi.json.gz"
_REPOSITORY = Path(__file__).parents[3]
HOST = "https://api.x.com"


def document() -> Path | None:
    """Where the document lies, if anywhere."""
    folder = Path(os.environ.get("CEM_SPECS") or _REPOSITORY.parent / "shared" / "specs")
    path = folder / _NAME
    return path if path.is_file() else None


class Published:
    """Says what of an exchange is not as published."""

    def __init__(self, path: Path) -> None:
        self._api = OpenAPI.from_dict(
            json.loads(gzip.decompress(path.read_bytes())),
            # The document itself is X's to check.
            config=Config(
                spec_validator_cls=None,  # type: ignore[arg-type]
                extra_media_type_deserializers={"application/problem+json": json.loads},
            ),
        )

    def wrong(
        self, method: str, target: str, body: bytes, status: int, answer: bytes, content_type: str
    ) -> list[str]:
        """Each breach in a sentence; none where all is as published."""
        parts = urlsplit(target)
        request = MockRequest(
            HOST,
            method.lower(),
            parts.path,
            args=dict(parse_qsl(parts.query)),
            headers={"Authorization": "Bearer invented"},
            data=body or None,
            content_type="application/json",
        )
        breaches = []
        if 200 <= status < 300:
            breaches += self._try("request", lambda: self._api.validate_request(request))
        response = MockResponse(data=answer, status_code=status, content_type=content_type)
        return breaches + self._try("response", lambda: self._api.validate_response(request, response))

    def _try(self, what: str, check: Any) -> list[str]:
        try:
            with warnings.catch_warnings():
                # The keys are checked by the stand-in; OAuth 1.0a is none of the document's schemes.
                warnings.simplefilter("ignore", UserWarning)
                check()
        except PathNotFound as error:
            return [f"{what}: {error}"]
        except OpenAPIError as error:
            causes = getattr(error.__cause__, "schema_errors", None) or [error.__cause__ or error]
            return [f"{what}: {cause}"[:400] for cause in causes]
        return []


@cache
def published() -> Published | None:
    """Read once: that takes a second."""
    path = document()
    return Published(path) if path else None
