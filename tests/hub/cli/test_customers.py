from __future__ import annotations

from pathlib import Path

import pytest

from hub.runtime import Hub
from tests.hub.cli.conftest import Cli

CUSTOMERS = """customer_id,name,email,handles,loyalty_number,tier,points
C1,Mara Musterfrau,mara@example.com,chirp:@mara,LN-1,gold,120
C2,Ben Example,ben@example.com,,LN-2,silver,
C3,Broken,not an address,,,gold,
C4,Unknown tier,four@example.com,,,diamond,
"""
EVENTS = """event_id,customer,kind,occurred_at,amount,currency,items
e1,C1,purchase,{today},100.00,EUR,Lamp
e2,mara@example.com,return,{today},20.00,EUR,
e3,nobody,purchase,{today},1.00,EUR,
"""


@pytest.fixture
def imported(cli: Cli, tmp_path: Path) -> Path:
    file = tmp_path / "customers.csv"
    file.write_text(CUSTOMERS)
    told = cli("customers", "import", file)
    assert "customers.csv:4" in told.stderr
    assert "tier 'diamond' is none of the policy's" in told.stderr
    return file


def test_customers_are_made_once_and_errors_name_line_and_column(cli: Cli, imported: Path) -> None:
    report = cli.json("customers", "import", imported)
    assert (report["created"], report["updated"], report["unchanged"]) == (0, 0, 2)
    assert [(each["line"], each["column"]) for each in report["errors"]] == [(4, "email"), (5, "tier")]


def test_events_are_counted_once(cli: Cli, imported: Path, tmp_path: Path, hub: Hub) -> None:
    from hub.clock import utcnow

    file = tmp_path / "events.csv"
    file.write_text(EVENTS.format(today=utcnow().date().isoformat()))
    assert cli.json("events", "import", file)["created"] == 2
    assert cli.json("events", "import", file)["unchanged"] == 2
    shown = cli.json("customers", "show", "LN-1")
    assert shown["spend"] == {"amount": "80.00", "currency": "EUR", "percentile": 100.0, "orders": 1}
    told = cli("customers", "show", "mara@example.com").stdout
    assert "80.00 EUR" in told
    assert "Lamp" in told
    assert "No conversations." in told


@pytest.mark.parametrize("who", ["C1", "@mara", "Mara@Example.com", "ln-1"])
def test_one_is_found_by_any_name(cli: Cli, imported: Path, who: str) -> None:
    assert cli.json("customers", "show", who)["name"] == "Mara Musterfrau"


@pytest.mark.usefixtures("imported")
def test_the_list_searches_and_pages(cli: Cli) -> None:
    assert {each["external_id"] for each in cli.json("customers", "list")} == {"C1", "C2"}
    assert [each["external_id"] for each in cli.json("customers", "list", "musterf")] == ["C1"]
    assert [each["external_id"] for each in cli.json("customers", "list", "--tier", "silver")] == ["C2"]
    assert "No customer is like that." in cli("customers", "list", "zzz").stderr
    first = cli("customers", "list", "--limit", 1)
    rest = cli("customers", "list", "--cursor", first.stderr.split("--cursor ")[1].strip())
    assert ("Mara" in first.stdout) != ("Mara" in rest.stdout)


def test_no_customers_are_said_so(cli: Cli) -> None:
    assert "No customers yet" in cli("customers", "list").stderr
    assert cli.problem("customers", "show", "nobody") == "no customer 'nobody'"
    assert cli.problem("customers", "show", "17") == "no customer '17'"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"customer_id,nmae\nC1,x\n", "unknown column 'nmae'; did you mean 'name'?"),
        (b"name\nx\n", "the header lacks customer_id"),
        (b"customer_id,name\nC1,\xff\xfe\n", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(cli: Cli, tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "customers.csv"
    file.write_bytes(content)
    assert said in cli.problem("customers", "import", file)


def test_where_no_row_can_be_used_it_failed(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("event_id,customer,kind,occurred_at\ne1,nobody,visit,2026-01-01\n")
    assert "events.csv:2" in cli("events", "import", file, status=1).stderr
    file.write_text("event_id,customer,kind,occurred_at\n")
    assert "The file has no rows." in cli("events", "import", file).stderr
