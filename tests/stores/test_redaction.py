"""No credential of a URI is ever shown, however it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import InvalidInput
from crossfade.stores import open_store
from crossfade.stores.uri import redact_text, redact_uri

SECRET = "hUnter2"


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://me:{s}@host/db?table=items",
        "postgresql://me:{s}@host:5432",
        "postgresql://me:a@{s}@host/db",
        "postgresql://me:a/{s}@host/db",
        "postgresql://me:a?{s}@host/db",
        "postgresql://me:a#{s}@host/db",
        "postgresql://me:a://{s}@host/db",
        "postgresql://me: {s} @host/db",
        "postgresql://:{s}@host/db",
        "postgresql://{s}@host/db",
        "postgresql://{s}/x@host/db",
        "postgresql:///db?user=me&password={s}",
        "postgresql://host/db?PassWord={s}&table=items",
        "postgresql://host/db?p%61ssword={s}",
        "postgresql://host/db?p%2561ssword={s}",
        "postgresql://host/db?sslpassword={s}",
        "postgresql://host/db?table=items;password={s}",
        "postgresql://host/db#token={s}",
        "qdrant+https://host:6333/c?api_key={s}",
        "qdrant+https://host:6333/c?api-key={s}",
        "https://host/v1?X-Amz-Signature={s}&sig={s}",
        "HTTPS://me:{s}@HOST/v1",
        "host=db dbname=shop user=me password={s}",
        "host=db password='a {s}' dbname=shop",
        "host=db password = 'a \\' {s}' dbname=shop",
        'host=db password="a {s}"',
    ],
)
def test_a_credential_is_hidden_wherever_it_stands(uri: str) -> None:
    written = uri.format(s=SECRET)
    assert SECRET not in redact_uri(written)
    if " @" not in uri and "password=" not in uri.partition("://")[0]:
        assert SECRET not in redact_text(f"can't open {written}: refused")
    assert redact_uri(redact_uri(written)) == redact_uri(written)


@given(
    st.text(min_size=1, max_size=20).map(lambda text: f"q{text}Z9"),
    st.sampled_from(["postgresql", "https", "x+y.z-1"]),
)
def test_any_password_before_the_host_is_hidden(password: str, scheme: str) -> None:
    shown = redact_uri(f"{scheme}://me:{password}@host/db?table=items")
    assert shown == f"{scheme}://***@host/db?table=items"


@pytest.mark.parametrize(
    "uri",
    [
        "qdrant://gallery",
        "qdrant:///srv/me@work/gallery",
        "memory://",
        "postgresql://host:5432/shop?table=items&id=id&old=embedding&schema=public",
        "lancedb://data/g",
        "no uri at all",
    ],
)
def test_what_holds_no_credential_stays_as_it_is(uri: str) -> None:
    assert redact_uri(uri) == uri
    assert redact_text(f"see {uri} for more") == f"see {uri} for more"


def test_the_place_stays_readable() -> None:
    uri = "postgresql://me:pw@db.example:5432/shop?table=items&password=pw"
    assert redact_uri(uri) == "postgresql://***@db.example:5432/shop?table=items&password=***"


@pytest.mark.parametrize("uri", [f"nosuch://me:{SECRET}@host/x", f"nosuch:me:{SECRET}@host"])
def test_errors_of_opening_a_store_hold_no_credentials(uri: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        open_store(uri)
    assert SECRET not in str(refused.value)
