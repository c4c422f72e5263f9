"""The database: engine, sessions, column types, and everything in which SQLite and PostgreSQL differ."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, cast
from zlib import crc32

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Numeric,
    SQLColumnExpression,
    TableValuedAlias,
    Text,
    bindparam,
    column,
    create_engine,
    event,
    func,
    literal_column,
    make_url,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from hub.files import FileStore

SQLITE_BUSY_SECONDS = 30
CONNECT_SECONDS = 10


class Base(DeclarativeBase):
    """All tables. Constraints get names by rule, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC moment. Refuses naive values: a wrong clock is worse than an error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: moments are stored in UTC")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An amount with two decimals, exact on both: SQLite, which knows no decimals, counts hundredths."""

    impl = Numeric(18, 2)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return BigInteger() if dialect.name == "sqlite" else Numeric(18, 2)

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> Decimal | int | None:
        if value is None:
            return None
        # As PostgreSQL rounds.
        cents = (Decimal(value) * 100).to_integral_value(ROUND_HALF_UP)
        return int(cents) if dialect.name == "sqlite" else cents / 100

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return Decimal(int(value)).scaleb(-2) if dialect.name == "sqlite" else Decimal(value)


# None is the absence of a value, not the JSON text `null`.
JsonColumn = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class _Items(FunctionElement[Any]):
    """A set-returning function, one row per item of a JSON array; the two databases name it differently."""

    inherit_cache = True


@compiles(_Items, "sqlite")
def _items_sqlite(element: _Items, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kwargs)})"


@compiles(_Items, "postgresql")
def _items_postgresql(element: _Items, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"jsonb_array_elements({compiler.process(element.clauses, **kwargs)})"


def json_items(array: SQLColumnExpression[Any]) -> TableValuedAlias:
    """The items of a JSON array as rows, to be joined to their own row; the column is `value`."""
    return _Items(array).table_valued(column("value", JsonColumn))


class has_more_than_ascii(FunctionElement[bool]):  # noqa: N801 - it is called as a function
    """Whether a text has any sign beyond ASCII."""

    type = Boolean()
    inherit_cache = True


@compiles(has_more_than_ascii, "sqlite")
def _ascii_sqlite(element: has_more_than_ascii, compiler: SQLCompiler, **kwargs: Any) -> str:
    text = compiler.process(element.clauses, **kwargs)
    return f"({text} GLOB '*[^' || char(1) || '-' || char(127) || ']*')"


@compiles(has_more_than_ascii, "postgresql")
def _ascii_postgresql(element: has_more_than_ascii, compiler: SQLCompiler, **kwargs: Any) -> str:
    text = compiler.process(element.clauses, **kwargs)
    return f"(octet_length({text}) <> length({text}))"


class _Many(TypeDecorator[Collection[Any]]):
    """Many values of one type, `Integer` or `Text`, as one parameter."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type[Integer | Text]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text() if dialect.name == "sqlite" else ARRAY(self.of)

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> str | list[Any]:
        values = list(value or ())
        return json.dumps(values) if dialect.name == "sqlite" else values


class _Among(FunctionElement[Any]):
    # Not Boolean: SQLite would be asked whether it is 1, and find it by no index.
    type = NullType()
    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    number, numbers = (compiler.process(each, **kwargs) for each in element.clauses)
    return f"({number} IN (SELECT value FROM json_each({numbers})))"  # noqa: S608 - no values in it


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    number, numbers = (compiler.process(each, **kwargs) for each in element.clauses)
    return f"({number} = ANY ({numbers}))"


def among(number: SQLColumnExpression[int], numbers: Collection[int]) -> ColumnElement[bool]:
    """Whether an id is one of these: one parameter and the same statement, however many they are.

    For what is asked of hundreds again and again. Where `IN` has a parameter for each, the statement is
    written, read and planned anew each time.
    """
    return cast("ColumnElement[bool]", _Among(number, bindparam(None, numbers, _Many(Integer), unique=True)))


class _Rows(FunctionElement[Any]):
    inherit_cache = True


@compiles(_Rows, "sqlite")
def _rows_sqlite(element: _Rows, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kwargs)})"


@compiles(_Rows, "postgresql")
def _rows_postgresql(element: _Rows, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"unnest({compiler.process(element.clauses, **kwargs)})"


def rows_of(parameter: str) -> TableValuedAlias:
    """The texts of one parameter as rows, however many they are; the column is `value`."""
    # PostgreSQL calls the only column of a function as its alias.
    return _Rows(bindparam(parameter, type_=_Many(Text))).table_valued(column("value", Text), name="value")


def at_most(rows: int) -> ColumnElement[int]:
    """A LIMIT that is written into the statement, for the few that are asked at every click.

    PostgreSQL plans a prepared statement anew each time where it cannot read from it how few rows are wanted.
    """
    return literal_column(str(rows), Integer)


class hour_of(FunctionElement[int]):  # noqa: N801 - it is called as a function
    """The hour of a moment, counted from the beginning of 1970 in UTC."""

    type = BigInteger()
    inherit_cache = True


@compiles(hour_of, "sqlite")
def _hour_sqlite(element: hour_of, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"(CAST(strftime('%s', {compiler.process(element.clauses, **kwargs)}) AS INTEGER) / 3600)"


@compiles(hour_of, "postgresql")
def _hour_postgresql(element: hour_of, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"CAST(floor(extract(epoch FROM {compiler.process(element.clauses, **kwargs)}) / 3600) AS bigint)"


class Locked(dict[str, Any]):
    """What stands in for an encrypted object that the hub's key does not open; it is never stored."""


class EncryptedJson(TypeDecorator[dict[str, Any]]):
    """A JSON object encrypted with the hub's key (Fernet: AES-128-CBC with HMAC-SHA256); see `use_key`.

    Where it was encrypted with another key it reads as `Locked`, so that the rest of its row can be used.
    """

    impl = Text
    cache_ok = True
    _fernet: Fernet | None = None

    @classmethod
    def use_key(cls, key: str) -> None:
        """Encrypt and decrypt with `key` from now on in this process."""
        cls._fernet = Fernet(urlsafe_b64encode(sha256(key.encode()).digest()))

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        if isinstance(value, Locked):
            raise ValueError("this was encrypted with another key, and cannot be stored again")
        if not value:
            return None
        if self._fernet is None:
            raise RuntimeError("no key: call EncryptedJson.use_key first")
        return self._fernet.encrypt(json.dumps(value).encode()).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any]:
        if value is None:
            return {}
        if self._fernet is None:
            raise RuntimeError("no key: call EncryptedJson.use_key first")
        try:
            opened: dict[str, Any] = json.loads(self._fernet.decrypt(value.encode()))
        except InvalidToken:
            return Locked()
        return opened


class Database:
    """One database. A block of `session()` or `reading()` is one transaction, committed where the block ends.

    `session()` may write. On SQLite it takes the write lock at once, since a transaction that reads first and
    writes later fails instead of waiting when another one wrote in between. `reading()` never waits for a
    writer. `files` is where its sessions find what is kept beside it (`hub.files.files_of`).
    """

    def __init__(
        self,
        url: str,
        *,
        nudge: Callable[[str], None] = lambda job: None,
        files: FileStore | None = None,
    ) -> None:
        self.url = url
        self.engine = _engine(url)
        self.nudge = nudge
        # SQLite has one writer. The threads of a process wait for each other here and wake at once: SQLite's
        # own waiting sleeps longer and longer, and is left for other processes.
        self._turn: AbstractContextManager[Any] = Lock() if self.is_sqlite else nullcontext()
        known = {"files": files} if files is not None else {}
        self._write = sessionmaker(
            self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE"),
            expire_on_commit=False,
            info=known,
        )
        self._read = sessionmaker(
            self.engine.execution_options(sqlite_begin="BEGIN"), expire_on_commit=False, info=known
        )

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One writing transaction; the nudges asked for within it go out after its commit."""
        with self._write() as session:
            with self._turn, session.begin():
                yield session
            for job in session.info.pop("nudges", ()):
                self.nudge(job)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One reading transaction; whatever it changed is rolled back."""
        with self._read() as session:
            yield session
            session.rollback()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def nudge(session: Session, job: str) -> None:
    """Ask that `job` looks for work once this transaction is committed."""
    session.info.setdefault("nudges", {})[job] = True


def take_turns(session: Session, what: str) -> None:
    """Wait until no other transaction takes its turn at `what`, and have the others wait until ours ends.

    On SQLite every writing transaction does.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(crc32(what.encode()))))


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all of the same columns, but those whose key is there already, whoever put it there."""
    if rows:
        postgresql = session.get_bind().dialect.name == "postgresql"
        insert = postgresql_insert if postgresql else sqlite_insert
        session.execute(insert(table).on_conflict_do_nothing(), list(rows))


def write_alike(session: Session, rows: Iterable[Base], names: Collection[str]) -> None:
    """Have the next flush write these attributes of every row, changed or not, in one statement for all.

    It would send one for each run of rows of which the same changed, and wait for each. SQLite has no way to
    go: there only what changed is written. Whoever asks this holds the rows.
    """
    if session.get_bind().dialect.name == "postgresql":
        for row in rows:
            for name in names:
                flag_modified(row, name)


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            url,
            connect_args={"timeout": SQLITE_BUSY_SECONDS, "isolation_level": None},
            pool_size=20,
            max_overflow=40,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url,
        pool_size=10,
        max_overflow=40,
        # A server that was started again is found out before a connection is used.
        pool_pre_ping=True,
        # What customers write does not belong in the text of an error, and so in a log.
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS},
    )


def _configure_sqlite(connection: Any, _record: Any) -> None:
    for pragma in (
        "journal_mode=WAL",
        # An accepted message survives a power cut too, at the price of one fsync a commit.
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={SQLITE_BUSY_SECONDS * 1000}",
        "temp_store=MEMORY",
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
