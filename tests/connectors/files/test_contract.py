"""The contract, for `files`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from connectors.base import Connector
from connectors.files.connector import FilesConfig, FilesConnector
from tests.connectors.contract import ConnectorContract, Item, Vendor

_folders = count()


def open_files(**config: Any) -> FilesConnector:
    """A connector whose clock is an hour ahead, so that files written by a test were not written just now."""
    return FilesConnector(
        FilesConfig.model_validate(config), clock=lambda: datetime.now(UTC) + timedelta(hours=1)
    )


def items_of(connector: Connector, cursor: Any = None) -> list[Item]:
    return [item for batch in connector.fetch(cursor) for item in batch.items]


class TestFilesContract(ConnectorContract):
    name: ClassVar[str] = "files"
    config: ClassVar[dict[str, Any]] = {"paths": ["inbox"], "map": {"text": "words"}, "outbox": "outbox"}

    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        inbox = folder / f"inbox-{next(_folders)}"
        inbox.mkdir()
        for event in events:
            shutil.copy(event, inbox)
        return items_of(open_files(path=inbox))

    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        items = []
        for suffix in ("", ".jsonl", ".csv", ".tsv", ".eml", ".mbox", ".csv.gz"):
            path = folder / f"garbage{suffix}"
            path.write_bytes(raw)
        items += items_of(open_files(path=folder))
        return items

    def pulled(self, folder: Path) -> Connector | None:
        shutil.copy(self.fixtures() / "post.jsonl", folder / "a.jsonl")
        lines = [json.dumps({"text": f"words {number % 700}"}) for number in range(1_200)]
        (folder / "b.jsonl").write_text("\n".join(lines))
        shutil.copy(self.fixtures() / "mailbox.mbox", folder / "c.mbox")
        return open_files(path=folder)

    @contextmanager
    def vendor(self, folder: Path) -> Iterator[Vendor]:
        outbox = folder / "outbox"
        yield Vendor(
            open_files(outbox=outbox),
            lambda: [json.loads(path.read_text())["idempotency_key"] for path in outbox.iterdir()],
        )

    def absent_vendor(self, folder: Path) -> Connector:
        (folder / "file").write_text("in the way of a folder")
        return open_files(outbox=folder / "file" / "outbox")
