"""What can go wrong with a server: each a clear error of ours, none with a password."""

import logging
import threading

import numpy as np
import psycopg
import pytest

from crossfade.embeddings import Space
from crossfade.errors import InvalidInput, StoreError, StoreUnavailable
from crossfade.stores import Draft, Store, VectorWrite, open_store
from crossfade.stores.pgvector.store import PgvectorStore
from crossfade.testing import PostgresServer

OLD = Space("old", 2)
EAST = np.array([1, 0], np.float32)


def of(postgres: PostgresServer, **changed: str) -> str:
    """The server's URI with another user, password, port or database."""
    given = psycopg.conninfo.conninfo_to_dict(postgres.uri()) | changed
    server = f"{given['user']}:{given['password']}@127.0.0.1:{given['port']}"
    return f"postgresql://{server}/{given['dbname']}?table=faults"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"password": "s3cret"}, "password authentication failed"),
        ({"user": "stranger"}, "authentication failed"),
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
        ({"dbname": "postgres"}, "CREATE EXTENSION vector"),
    ],
)
def test_what_the_server_refuses_for_good_is_a_store_error(
    postgres: PostgresServer, changed: dict[str, str], words: str
) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        open_store(of(postgres, **changed))
    assert not isinstance(caught.value, StoreUnavailable)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_not_there_may_be_tried_again(postgres: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable, match="refused"):
        open_store(of(postgres, port="1"))


def test_a_role_without_rights_is_told_which(postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    with pytest.raises(StoreError, match=r"permission denied for .*right"):
        open_store(of(postgres, user="guest", password="guest"))


def test_a_table_of_somebody_else_is_left_alone(postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE TABLE foreigner (id int PRIMARY KEY)")
    with pytest.raises(StoreError, match="id=COLUMN&old=COLUMN"):
        open_store(postgres.uri(table="foreigner"))


def test_a_collection_of_a_later_release_is_refused(
    postgres: PostgresServer, store: Store, uri: str
) -> None:
    assert isinstance(store, PgvectorStore)
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE crossfade_collections SET format = 2 WHERE name = %s", [store.address.table]
        )
    with pytest.raises(StoreError, match="format 2"):
        open_store(uri)


def test_a_store_goes_on_when_its_server_was_restarted(
    postgres: PostgresServer, store: Store
) -> None:
    store.put([Draft(1)])
    postgres.stop()
    with pytest.raises(StoreUnavailable):
        store.count()
    postgres.start()
    assert store.count() == 1
    postgres.crash()
    postgres.start()
    # The broken connection is replaced before anything has begun.
    store.put([Draft(2)])
    assert store.count() == 2


def test_connections_that_the_server_ends_are_replaced(
    postgres: PostgresServer, store: Store
) -> None:
    store.ensure_space(OLD)
    failures: list[BaseException] = []

    def put_in_the_end(id: int) -> None:
        for _ in range(20):
            try:
                store.put([Draft(id, {"old": EAST})])
                store.count()
                return
            except StoreUnavailable:
                continue
        raise AssertionError("the connections never came back")

    def work() -> None:
        try:
            for id in range(40):
                put_in_the_end(id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    with postgres.connect() as connection:
        for _ in range(5):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'crossfade'"
            )
    for thread in threads:
        thread.join()
    assert not failures
    assert store.count(has="old") == 40


def test_a_put_is_all_or_nothing(postgres: PostgresServer, store: Store) -> None:
    assert isinstance(store, PgvectorStore)
    store.ensure_space(OLD)
    with postgres.connect() as connection:
        connection.execute(
            f"ALTER TABLE {store.address.table} ADD CHECK (payload ->> 'bad' IS NULL)"
        )
    # More than one statement holds: the bad one comes in the last.
    drafts = [Draft(id, {"old": EAST}) for id in range(20_000)]
    with pytest.raises(InvalidInput, match="check constraint"):
        store.put([*drafts, Draft(20_000, {}, {"bad": True})])
    assert store.count() == 0
    store.put(drafts)
    assert store.count() == store.count(has="old") == 20_000


def test_a_long_id_is_refused_and_a_lookup_of_it_finds_nothing(store: Store) -> None:
    with pytest.raises(InvalidInput, match="hash"):
        store.put([Draft("x" * 3000)])
    assert store.get(["x" * 3000]) == [None]
    assert store.delete(["x" * 3000]) == 0


def test_no_password_is_logged_or_shown(
    postgres: PostgresServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(store, PgvectorStore)
    password = store.address.connection["password"]
    with caplog.at_level(logging.DEBUG):
        with open_store(postgres.uri(table=store.address.table)) as again:
            shown = [repr(again), str(again), repr(again.address), str(again.address)]
        with pytest.raises(StoreError) as caught:
            again.count()
    assert all(password not in text for text in [*shown, str(caught.value), caplog.text])


def test_a_column_added_by_another_process_is_cleared_by_a_write_of_this_one(
    store: Store, uri: str
) -> None:
    store.ensure_space(OLD)
    store.put([Draft(1, {"old": EAST})])
    with open_store(uri) as other:
        other.ensure_space(Space("new", 2))
        (item,) = other.get([1])
        assert item is not None
        other.set_vectors("new", [VectorWrite(1, item.version, EAST)])
        store.put([Draft(1, {"old": -EAST})])
        assert other.count(has="new") == 0


def test_sql_in_names_ids_and_filters_is_only_text(store: Store) -> None:
    evil = "'; DROP TABLE crossfade_spaces; --\"%s%%"
    store.ensure_space(Space(evil, 2))
    store.put([Draft(evil, {evil: EAST}, {evil: evil, "price": 1})])
    (found,) = store.search(evil, EAST[None], 5, filter={evil: evil, "price": {"lt": 2}})
    assert [match.id for match in found] == [evil]
    assert store.search(evil, EAST[None], 5, filter={evil: {"in": ["x' OR '1'='1"]}}) == [[]]
    assert store.swap_pointer(evil, None, evil) and store.read_pointer(evil) == evil
    store.drop_space(evil)
    assert store.count() == 1
