"""Rows as JSON that the database itself writes, all of them in one text.

Python would make an object of every column of every row only to write it down again. And SQLite's module gives the
interpreter's lock away at every row, which a server with several threads then waits for as often.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import JSON, ColumnElement, ScalarSelect, Select, Text, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from db.types import UTCDateTime

Column = ColumnElement[Any]


class _Written(FunctionElement[str]):
    """Something of JSON, written in SQL; `sqlite` and `postgresql` hold how, with {} for its arguments."""

    type = Text()
    sqlite = ""
    postgresql = ""


@compiles(_Written)
def _sql(element: _Written, compiler: SQLCompiler, **options: Any) -> str:
    return getattr(element, compiler.dialect.name).format(compiler.process(element.clauses, **options))


class _Object(_Written):
    """Of names and values by turns."""

    inherit_cache = True
    sqlite = "json_object({})"
    postgresql = "json_build_object({})"


class _Array(_Written):
    """Of the values of all rows."""

    inherit_cache = True
    sqlite = "json_group_array({})"
    postgresql = "coalesce(json_agg({}), '[]')"


class _Lines(_Written):
    """The values of all rows, a line each; null without rows."""

    inherit_cache = True
    sqlite = "group_concat({}, char(10))"
    postgresql = "string_agg(({})::text, chr(10))"


class _Nested(_Written):
    """JSON that stands in a column, or that a query gives."""

    inherit_cache = True
    sqlite = "json({})"
    postgresql = "{}"


class _Moment(_Written):
    """A moment in UTC as ISO 8601 has it, without a fraction that is zero."""

    inherit_cache = True
    sqlite = "replace(replace({}, ' ', 'T') || 'Z', '.000000Z', 'Z')"
    postgresql = "replace(to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '.000000Z', 'Z')"


class _Whole(_Written):
    """JSON as text."""

    inherit_cache = True
    sqlite = "{}"
    postgresql = "({})::text"


def lines(query: Select[*tuple[Any, ...]], mark: str) -> Select[str | None, str | None]:
    """Of the rows of a query, in its order: their objects, a line each, and the values of the column `mark` likewise.

    Both are null without rows. No JSON that a database writes has a line's end within.
    """
    rows = query.subquery()
    return select(_Lines(_Object(*_pairs(rows.c))), _Lines(rows.c[mark]))


def array(query: Select[*tuple[Any, ...]]) -> Column:
    """The rows of a query as an array of objects, for a field of another."""
    rows = query.subquery()
    return nested(select(_Array(_Object(*_pairs(rows.c)))))


def values(query: Select[*tuple[Any, ...]]) -> Column:
    """The values of a query's only column as an array, for a field of an object."""
    return nested(select(_Array(*query.subquery().c)))


def nested(query: Select[*tuple[Any, ...]]) -> Column:
    """The JSON that a query gives, for a field of an object."""
    found: ScalarSelect[Any] = query.scalar_subquery()
    return _Nested(found)


def written(columns: Iterable[Any], **more: Column) -> Column:
    """An object of columns, and of more fields."""
    fields = [part for name, value in more.items() for part in (_name(name), value)]
    return _Object(*_pairs(columns), *fields)


def text(document: Column) -> Column:
    """A document as it leaves the database."""
    return _Whole(document)


def _pairs(columns: Iterable[Any]) -> Iterator[Column]:
    for column in columns:
        yield _name(column.key)
        yield _value(column)


def _name(name: str) -> Column:
    return literal_column(f"'{name}'")


def _value(column: Any) -> Column:
    if isinstance(column.type, UTCDateTime):
        return _Moment(column)
    return _Nested(column) if isinstance(column.type, JSON) else column
