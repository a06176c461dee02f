"""Contents from a database: a real PostgreSQL server."""

import itertools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from crossfade.embeddings.sources import Missing, Source, load_source
from crossfade.errors import EncoderError, EncoderMisconfigured, EncoderUnavailable
from crossfade.testing import PostgresServer

_NUMBERS = itertools.count()


@pytest.fixture
def table(postgres: PostgresServer) -> Iterator[str]:
    name = f"docs_{next(_NUMBERS)}"
    with postgres.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, body text, raw bytea)")
        with connection.cursor() as cursor:
            rows = [(n, f"body {n}", bytes([n])) for n in range(100)]
            cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s, %s)", rows)
        connection.execute(f"INSERT INTO {name} VALUES ({2**63 - 1}, 'largest', NULL)")
    yield name
    with postgres.connect() as connection:
        connection.execute(f"DROP TABLE {name}")


def open_source(postgres: PostgresServer, query: str) -> Source:
    return load_source(f"sql:{postgres.uri()}?query={query}")


def ask(source: Source, *ids: int | str) -> list[Any]:
    return list(source(list(ids), [{} for _ in ids]))


def test_contents_come_in_the_order_asked_for(postgres: PostgresServer, table: str) -> None:
    source = open_source(postgres, f"SELECT id, body FROM {table} WHERE id IN (:ids)")
    *found, absent = ask(source, 7, 2**63 - 1, 3, 1_000)
    assert found == ["body 7", "largest", "body 3"]
    assert isinstance(absent, Missing) and "no row for id 1000" in absent.reason


def test_bytes_are_bytes_and_null_lacks_content(postgres: PostgresServer, table: str) -> None:
    source = open_source(postgres, f"SELECT id, raw FROM {table} WHERE id IN (:ids)")
    found, null = ask(source, 65, 2**63 - 1)
    assert found == b"A" and isinstance(null, Missing)


def test_the_query_is_taken_as_it_stands(postgres: PostgresServer, table: str) -> None:
    query = (
        f"SELECT id::text, body || '?%' FROM {table} WHERE id::text IN (:ids) AND body LIKE '%1'"
    )
    found, other = ask(open_source(postgres, query), "1", "2")
    assert found == "body 1?%" and isinstance(other, Missing)


def test_an_id_with_sql_in_it_is_a_parameter(postgres: PostgresServer, table: str) -> None:
    source = open_source(postgres, f"SELECT id::text, body FROM {table} WHERE id::text IN (:ids)")
    (content,) = ask(source, f"1'); DROP TABLE {table}; --")
    assert isinstance(content, Missing) and ask(source, "1") == ["body 1"]


def test_uuids_are_found_by_their_text(postgres: PostgresServer) -> None:
    id = "6f1c1d1e-0000-4000-8000-00000000000a"
    query = f"SELECT id, body FROM (VALUES ('{id}'::uuid, 'text')) t(id, body) WHERE id IN (:ids)"
    assert ask(open_source(postgres, query), id) == ["text"]


def test_nothing_can_be_written(postgres: PostgresServer, table: str) -> None:
    query = f"DELETE FROM {table} WHERE id IN (:ids) RETURNING id, body"
    with pytest.raises(EncoderMisconfigured, match="read-only transaction"):
        ask(open_source(postgres, query), 1)


def test_an_id_that_the_column_can_t_hold_blames_the_items(
    postgres: PostgresServer, table: str
) -> None:
    source = open_source(postgres, f"SELECT id, body FROM {table} WHERE id IN (:ids)")
    with pytest.raises(EncoderError, match="invalid input syntax for type bigint") as caught:
        ask(source, "no number")
    assert type(caught.value) is EncoderError
    assert ask(source, 1) == ["body 1"]


def test_a_query_that_can_t_work_is_the_set_up_s_fault(postgres: PostgresServer) -> None:
    source = open_source(postgres, "SELECT id, body FROM nowhere WHERE id IN (:ids)")
    with pytest.raises(EncoderMisconfigured, match='relation "nowhere" does not exist'):
        ask(source, 1)


def test_a_connection_that_breaks_is_made_again(postgres: PostgresServer, table: str) -> None:
    query = f"SELECT id, body FROM {table} WHERE id IN (:ids)"
    source = load_source(f"sql:{postgres.uri(application_name=table)}&query={query}")
    ask(source, 1)
    with postgres.connect() as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
            "application_name = %s",
            [table],
        ).fetchall()
    assert ended == [(True,)]
    with pytest.raises(EncoderUnavailable):
        ask(source, 1)
    assert ask(source, 1) == ["body 1"]


def test_no_message_tells_the_password(postgres: PostgresServer) -> None:
    password = psycopg.conninfo.conninfo_to_dict(postgres.uri())["password"]
    wrong = postgres.uri().replace(str(password), "wrong-s3cret")
    source = load_source(f"sql:{wrong}?query=SELECT 1, 2 WHERE 1 IN (:ids)")
    with pytest.raises(EncoderUnavailable) as caught:
        ask(source, 1)
    assert "wrong-s3cret" not in str(caught.value) and "127.0.0.1" in str(caught.value)
