"""Connectors by name, imported only when asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from connectors import UnknownConnector, connect, connector_names, connector_type


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(UnknownConnector, match=r"'fax'; there are: .*files, .*webhook"):
        connect("fax", {})


def test_wrong_settings_are_told_by_name() -> None:
    with pytest.raises(ValidationError, match="max_body_bytes"):
        connect("files", {"max_body_bytes": -1})


def test_every_name_leads_to_its_connector() -> None:
    assert [connector_type(name).name for name in connector_names()] == list(connector_names())


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, connectors; print(list(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'connectors.base'" in found.stdout
    for module in ("connectors.files", "connectors.webhook", "httpx2", "nh3"):
        assert f"'{module}'" not in found.stdout


@pytest.mark.parametrize("name", connector_names())
def test_every_setting_is_described_and_there_are_steps(name: str) -> None:
    """What the form of a channel shows beside each field, and beside them all."""
    found = connector_type(name)
    bare = [name for name, field in found.config_type.model_fields.items() if not field.description]
    assert bare == []
    assert found.steps
