"""What OAuth 1.0 signs, against the contract's vectors, oauthlib's own client, and requests that are tampered with."""

import base64
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oauthlib.oauth1 import Client

from services.api.access.oauth1_signature import (
    MalformedSignatureError,
    SignedRequest,
    is_signed,
    read_signed_request,
)
from tests.support.oauth1 import OAuth1

HOST = "localhost:8080"
FIXED = {"oauth_nonce": "a" * 32, "oauth_timestamp": "1700000000"}
VECTORS = [
    ("POST", "/auth/v2/oauth1/tokens", None, "JrlfuFWU7E5bwXdwJvGwlzTGGbo="),
    ("GET", "/users/v1/me", "tk", "vsI+f7unFevyVDJuurbHkKjqiZ8="),
    (
        "GET",
        "/tasks/v1/apiRequests?eq(functionName,my%2520fn)&sort(-timestamp)",
        "tk",
        "RSKIcR6JHRLIhjXyaPTUAukN7iE=",
    ),
    ("GET", "/tasks/v1/apiRequests?sort(+timestamp)", "tk", "X0Dy8o87xVZPHqv0oP3p3jGUDUA="),
    ("GET", "/tasks/v1/api/fn/a%20b?x=1&y=a%20b&y=c", "tk", "cArsFjC3UeQA3++qNtcTktHp+Xc="),
]
SIGNED = OAuth1(key="ck", secret="cs", token="tk", token_secret="ts", says=FIXED)

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
keys = words.filter(bool)
paths = st.lists(words.map(lambda word: quote(word, safe="")), max_size=4).map(lambda parts: "/" + "/".join(parts))
pieces = st.one_of(
    st.tuples(words, words).map(lambda pair: "=".join(quote(part, safe="") for part in pair)),
    st.sampled_from(["eq(a,b)", "sort(+timestamp)", "limit(2,1)", "a=b=c", "=", "x", "in(a,%2520,%255B)", "y=a+b"]),
)
queries = st.lists(pieces, max_size=5).map("&".join)


def signed(auth: OAuth1, method: str = "GET", target: str = "/users/v1/me", host: str = HOST) -> SignedRequest:
    return read_signed_request(method, host, target, auth.header(method, f"http://{host}{target}"))


@pytest.mark.parametrize(("method", "target", "token", "signature"), VECTORS)
def test_5_the_vectors_of_the_contract(method: str, target: str, token: str | None, signature: str) -> None:
    auth = OAuth1(
        key="ck",
        secret="cs",
        token=token,
        token_secret="ts" if token else "",
        says={**FIXED, "oauth_signature": signature},
    )

    request = signed(auth, method, target)

    assert request.is_signed_with("cs", "ts" if token else "")
    assert not request.is_signed_with("cs", "other")
    assert (request.consumer_key, request.token, request.timestamp) == ("ck", token, 1_700_000_000)


@given(key=keys, secret=words, token=keys, token_secret=words, path=paths, query=queries)
def test_what_the_sdk_signs_is_verified_and_nothing_else(
    key: str, secret: str, token: str, token_secret: str, path: str, query: str
) -> None:
    auth = OAuth1(key=key, secret=secret, token=token, token_secret=token_secret)
    request = signed(auth, "PUT", f"{path}?{query}" if query else path)

    assert request.is_signed_with(secret, token_secret)
    assert not request.is_signed_with(secret + "x", token_secret)
    assert not request.is_signed_with(secret, token_secret + "x")
    assert not replace(request, method="POST").is_signed_with(secret, token_secret)
    assert not replace(request, path=request.path + "/").is_signed_with(secret, token_secret)
    assert not replace(request, query="more=1&" + request.query).is_signed_with(secret, token_secret)
    assert not replace(request, host="localhost:8081").is_signed_with(secret, token_secret)


@given(
    secret=words,
    token_secret=words,
    path=paths,
    pairs=st.lists(st.tuples(st.text("abc123", min_size=1), st.text("abc 123-_.~", min_size=1)), max_size=4),
)
def test_what_the_librarys_client_signs_is_verified(
    secret: str, token_secret: str, path: str, pairs: list[tuple[str, str]]
) -> None:
    assume("//" not in path and not path.endswith(";"))
    query = "&".join(f"{name}={quote(value)}" for name, value in pairs)
    target = f"{path}?{query}" if query else path
    client = Client("ck", secret, "tk", token_secret)

    _, headers, _ = client.sign(f"https://api.example.com{target}", "GET")

    request = read_signed_request("GET", "api.example.com", target, headers["Authorization"])
    assert request.is_signed_with(secret, token_secret)


@given(st.text(max_size=80))
def test_no_header_makes_it_stumble(text: str) -> None:
    for header in (text, f"OAuth {text}", f'OAuth oauth_signature="{text}", {SIGNED.header("GET", "http://a/")[6:]}'):
        try:
            request = read_signed_request("GET", HOST, "/", header)
        except MalformedSignatureError:
            continue
        assert not request.is_signed_with("no", "no")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("sent", "host"), [("a.example", "a.example"), ("A.Example", "a.example"), ("[::1]:8080", "[::1]:8080")]
)
def test_the_host_counts_and_the_scheme_does_not(scheme: str, sent: str, host: str) -> None:
    header = SIGNED.header("GET", f"{scheme}://{host}/users/v1/me")

    assert read_signed_request("GET", sent, "/users/v1/me", header).is_signed_with("cs", "ts")


def test_what_only_http_clients_escape_in_a_path_may_be_signed_as_it_was() -> None:
    header = SIGNED.header("GET", f"http://{HOST}/it's;a|b/c%2Fd")

    assert read_signed_request("GET", HOST, "/it%27s;a%7Cb/c%2Fd", header).is_signed_with("cs", "ts")
    assert not read_signed_request("GET", HOST, "/it%27s;a%7Cb/c/d", header).is_signed_with("cs", "ts")


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_a_default_port_is_not_signed(scheme: str, port: int) -> None:
    header = SIGNED.header("GET", f"{scheme}://a.example/")

    assert read_signed_request("GET", f"a.example:{port}", "/", header).is_signed_with("cs", "ts")


@pytest.mark.parametrize("host", ["", "a:b:c", "[", "a:99999999"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(MalformedSignatureError):
        read_signed_request("GET", host, "/", SIGNED.header("GET", "http://a.example/"))


def test_a_realm_is_not_signed_and_letter_case_of_the_scheme_does_not_matter() -> None:
    header = SIGNED.header("GET", f"http://{HOST}/").replace("OAuth ", 'oauth realm="x", ')

    assert is_signed(header)
    assert read_signed_request("GET", HOST, "/", header).is_signed_with("cs", "ts")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("oauth_consumer_key", ""),
        ("oauth_nonce", ""),
        ("oauth_signature_method", "HMAC-SHA256"),
        ("oauth_version", "2.0"),
        ("oauth_timestamp", "-1"),
        ("oauth_timestamp", "1e9"),
        ("oauth_timestamp", "99999999999"),
        ("oauth_timestamp", "\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
def test_a_part_that_is_missing_or_wrong_is_told(name: str, value: str) -> None:
    with pytest.raises(MalformedSignatureError, match=name):
        signed(replace(SIGNED, says={name: value}))


def test_no_two_requests_share_a_digest_unless_one_is_a_copy() -> None:
    one = signed(SIGNED)
    others = [
        replace(SIGNED, key="ck2"),
        replace(SIGNED, token="tk2"),
        replace(SIGNED, token=None),
        replace(SIGNED, says={**FIXED, "oauth_nonce": "b"}),
        replace(SIGNED, says={**FIXED, "oauth_timestamp": "1700000001"}),
        # What separates the parts may stand in them.
        replace(SIGNED, key="ck&tk", token=None),
    ]

    assert signed(SIGNED, "POST", "/else").digest() == one.digest()
    digests = {one.digest(), *(signed(other).digest() for other in others)}
    assert len(digests) == len(others) + 1


def test_secrets_and_signatures_are_not_shown() -> None:
    request = signed(SIGNED)

    assert request.parameters["oauth_signature"] not in repr(request)
    assert base64.b64encode(b"cs").decode() not in repr(request)
