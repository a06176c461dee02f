"""URIs, and that what is secret in them stays so."""

import pytest

from crossfade.errors import InvalidInput
from crossfade.stores.pgvector.address import Address


def test_an_address_names_server_table_and_columns() -> None:
    address = Address.parse("me:pw@db:5433/shop?table=items&id=id&old=emb&schema=s&sslmode=disable")
    assert (address.schema, address.table, address.id, address.old) == ("s", "items", "id", "emb")
    assert dict(address.connection) == {
        "user": "me",
        "password": "pw",
        "host": "db",
        "port": "5433",
        "dbname": "shop",
        "sslmode": "disable",
    }


@pytest.mark.parametrize("text", [str, repr])
def test_an_address_shows_no_credentials(text: type[str]) -> None:
    address = Address.parse("someone:s3cret@db/shop?table=items")
    assert "db" in str(address) and "items" in str(address)
    assert "s3cret" not in text(address) and "someone" not in text(address)


def test_special_characters_come_as_percent_signs() -> None:
    address = Address.parse("me:p%40ss%2Fw%3Frd@db/shop?table=caf%C3%A9+1")
    assert address.connection["password"] == "p@ss/w?rd" and address.table == "café 1"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "me@db/shop",
        "me@db/shop?table=",
        "me@db/shop?table",
        "me@db/shop?table=t&id=id",
        "me@db/shop?table=t&old=embedding",
        "me@db/shop?table=" + "x" * 64,
        "me@db/shop?table=a%00b",
        "me@db/shop?table=t&nonsense=1",
        "me:s3cret@db:port/shop?table=t",
        "me:more@s3cret@db/shop?table=t",
        "me:12/s3cret@db/shop?table=t",
    ],
)
def test_a_bad_address_is_refused_without_its_password(bad: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Address.parse(bad)
    error: BaseException | None = caught.value
    assert "s3cret" not in str(error) and error is not None and error.__cause__ is None


def test_options_of_the_server_keep_their_spaces_and_plus_signs() -> None:
    uri = "me@db/shop?table=items&options=-c%20role%3Dguest%20-c%20x.y%3Da%2Bb"
    assert Address.parse(uri).connection["options"] == "-c role=guest -c x.y=a+b"
