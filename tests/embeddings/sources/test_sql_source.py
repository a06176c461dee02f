"""Contents from a database: SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from crossfade.embeddings.sources import Missing, Source, load_source
from crossfade.errors import EncoderMisconfigured, EncoderUnavailable, InvalidInput

SELECT = "SELECT id, body FROM docs WHERE id IN (:ids)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "docs ü?.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE docs (id, body)")
        rows: list[tuple[Any, Any]] = [(n, f"body {n}") for n in range(2_000)]
        rows += [("a", b"bytes"), ("it's", "quoted"), ("null", None), ("two", "1"), ("two", "2")]
        rows += [(2**63 - 1, "largest")]
        connection.executemany("INSERT INTO docs VALUES (?, ?)", rows)
    return file


@pytest.fixture
def source(file: Path) -> Iterator[Source]:
    yield load_source(f"sql:sqlite://{file}?query={SELECT}")


def ask(source: Source, *ids: int | str) -> list[Any]:
    return list(source(list(ids), [{} for _ in ids]))


def test_contents_come_in_the_order_asked_for_and_bytes_stay_bytes(source: Source) -> None:
    got = ask(source, 7, "a", 3, 2**63 - 1)
    assert got == ["body 7", b"bytes", "body 3", "largest"]


def test_more_ids_than_a_statement_takes_are_asked_for_in_parts(source: Source) -> None:
    ids = list(range(1_999, -1, -1))
    assert ask(source, *ids) == [f"body {n}" for n in ids]


def test_an_item_without_one_row_lacks_content_alone(source: Source) -> None:
    got = ask(source, "absent", 1, "null", "two")
    assert got[1] == "body 1"
    reasons = [content.reason for content in got if isinstance(content, Missing)]
    assert reasons == [
        "the query gives no row for id 'absent'",
        "the query gives null for id 'null'",
        "the query gives 2 rows for id 'two'",
    ]


def test_an_id_with_sql_in_it_is_a_parameter(source: Source, file: Path) -> None:
    evil = "x'); DROP TABLE docs; --"
    first, second = ask(source, evil, "it's")
    assert isinstance(first, Missing) and second == "quoted"
    assert ask(source, 1) == ["body 1"]


def test_the_query_is_taken_as_it_stands(file: Path) -> None:
    query = "SELECT id, body || '?a=1&b=50%' FROM docs WHERE id IN ( :ids ) AND body LIKE '%1'"
    found, other = ask(load_source(f"sql:sqlite://{file}?query={query}"), 1, 2)
    assert found == "body 1?a=1&b=50%" and isinstance(other, Missing)


def test_nothing_can_be_written(file: Path) -> None:
    query = "DELETE FROM docs WHERE id IN (:ids) RETURNING id, body"
    with pytest.raises(EncoderMisconfigured, match="readonly database; check the query"):
        ask(load_source(f"sql:sqlite://{file}?query={query}"), 1)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT id, body FROM nowhere WHERE id IN (:ids)", "no such table: nowhere"),
        ("SELECT id FROM docs WHERE id IN (:ids)", "gives 1 columns, wanted two"),
        ("SELECT nonsense (:ids)", "nonsense"),
    ],
)
def test_a_query_that_can_t_work_is_the_set_up_s_fault(file: Path, query: str, why: str) -> None:
    with pytest.raises(EncoderMisconfigured, match=why):
        ask(load_source(f"sql:sqlite://{file}?query={query}"), 1)


def test_a_locked_database_is_unavailable_for_now(source: Source, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(EncoderUnavailable, match="locked"):
            ask(source, 1)
        other.execute("ROLLBACK")
    assert ask(source, 1) == ["body 1"]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("sql:sqlite://absent.db?query=" + SELECT, "there is no SQLite file absent.db"),
        ("sql:mysql://me:secret@host/db?query=" + SELECT, "wanted sqlite://FILE or postgresql"),
        ("sql:postgresql://me:secret@host:x/db?query=" + SELECT, "URI can't be parsed"),
        ("sql:sqlite://{file}", "needs the option query"),
        ("sql:sqlite://{file}?query=SELECT id, body FROM docs", "the ids once as a parameter"),
        ("sql:sqlite://{file}?query=SELECT 1 WHERE id = :ids", "the ids once as a parameter"),
    ],
)
def test_a_spec_that_can_t_work_says_why_without_secrets(file: Path, spec: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        load_source(spec.replace("{file}", str(file)))
    assert "secret" not in str(caught.value)
