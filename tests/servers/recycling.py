"""PostgreSQL databases that are emptied and used again: a new copy costs the server ten times as much."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Self

import psycopg
from psycopg import sql

from tests.servers.postgres import PostgresServer

# Rows that were deleted stay in the files, and a database should read as if it were new.
MOST_USES = 40
MOST_ROWS = 2000
# How long the server may take to see that a client has gone.
GOING_SECONDS = 2.0

# What a test can change other than rows and sequences: the shape of the tables, and what ANALYZE has found.
CATALOGS = (
    "pg_class",
    "pg_attribute",
    "pg_attrdef",
    "pg_index",
    "pg_constraint",
    "pg_trigger",
    "pg_proc",
    "pg_type",
    "pg_namespace",
    "pg_extension",
    "pg_statistic",
    "pg_db_role_setting",
)


class Recycled:
    """Copies of a database that has all tables, handed out one at a time, each as new.

    A copy is used again where all that a test did to it were rows, and all its clients are gone. Else it is
    dropped, and the next test has a new one.
    """

    def __init__(self, server: PostgresServer, template: str) -> None:
        self.server = server
        self.template = template
        self._copy: _Copy | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._copy is not None:
            self._copy.drop()

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database that is as the template."""
        copy, self._copy = self._copy or _Copy(self.server, self.template), None
        try:
            yield copy.url
        finally:
            if self._copy is None and copy.empty():
                self._copy = copy
            else:
                copy.drop()


class _Copy:
    def __init__(self, server: PostgresServer, template: str) -> None:
        self.server = server
        self.url = server.create_database(template=template)
        self.connection = psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)
        self.uses = 0
        names = [name for (name,) in self._ask("SELECT relname FROM pg_class WHERE relkind = 'r'" + _OURS)]
        empty = [name for name in names if not self._ask(_HAS_ROWS.format(sql.Identifier(name)))[0][0]]
        self.sequences = [
            name for (name,) in self._ask("SELECT relname FROM pg_class WHERE relkind = 'S'" + _OURS)
        ]
        self.full = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(name, sql.Identifier(name))
            for name in empty
        )
        # The rows that migrations write are not to be changed either.
        kept = [name for name in names if name not in empty]
        self.state = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT count(*), sum(xmin::text::bigint) FROM {}").format(sql.Identifier(name))
            for name in (*CATALOGS, *kept)
        ) + sql.SQL(" UNION ALL SELECT count(*), sum(reltuples::bigint) FROM pg_class WHERE true" + _OURS)
        self.as_new = self._ask(self.state)

    def empty(self) -> bool:
        """Whether it is as new once more."""
        self.uses += 1
        try:
            return (
                self.uses < MOST_USES
                and self._is_left_alone()
                and self._ask(self.state) == self.as_new
                and self._delete_rows()
            )
        except psycopg.Error:
            return False

    def drop(self) -> None:
        self.connection.close()
        self.server.drop_database(self.url)

    def _is_left_alone(self) -> bool:
        end = time.monotonic() + GOING_SECONDS
        while self._ask(_OTHERS)[0][0]:
            if time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def _delete_rows(self) -> bool:
        rows = 0
        with self.connection.transaction():
            # No trigger fires: the order of the tables does not matter.
            self.connection.execute("SET LOCAL session_replication_role = replica")
            for (name,) in self._ask(self.full):
                rows += self.connection.execute(
                    sql.SQL("DELETE FROM {}").format(sql.Identifier(name))
                ).rowcount
            self._ask(_RESTART, [self.sequences])
        return rows <= MOST_ROWS

    def _ask(self, query: Any, values: Any = None) -> list[Any]:
        return self.connection.execute(query, values, prepare=True).fetchall()


_OURS = " AND relnamespace = 'public'::regnamespace"
_HAS_ROWS = sql.SQL("SELECT EXISTS (SELECT FROM {})")
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_RESTART = "SELECT setval(name::regclass, 1, false) FROM unnest(%s::text[]) AS name"
