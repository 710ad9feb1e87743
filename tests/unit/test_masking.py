"""No secret is logged, whatever it stands in; and what is no secret stays readable."""

import pytest

from crawlers.runtime.masking import mask, secrets_of


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://user:hunter22@example.org/x", "https://user:***@example.org/x"),
        ("mongodb://fleet:hunter22@db:27017/", "mongodb://fleet:***@db:27017/"),
        ("https://example.org/?api_key=abc&page=2", "https://example.org/?api_key=***&page=2"),
        ("https://example.org/?key=AIza&q=x", "https://example.org/?key=***&q=x"),
        ("https://example.org/?q=x&access_token=abc#top", "https://example.org/?q=x&access_token=***#top"),
        ("clientSecret=abc", "clientSecret=***"),
        ("X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-Date=c", "X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Date=c"),
        (
            "{'Authorization': b'Basic Zm9vOmJhcg==', 'Accept': '*/*'}",
            "{'Authorization': b'Basic ***', 'Accept': '*/*'}",
        ),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ('{"api_key": "abc", "name": "x"}', '{"api_key": "***", "name": "x"}'),
        ("{'AWS_SECRET_ACCESS_KEY': 'abc'}", "{'AWS_SECRET_ACCESS_KEY': '***'}"),
        ("Set-Cookie: session=abc; Path=/", "Set-Cookie: ***"),
        ("'Cookie': 'a=1; b=2', 'x': 1", "'Cookie': '***', 'x': 1"),
        ("sent Bearer abcdefghijklmnop", "sent Bearer ***"),
    ],
)
def test_a_secret_is_made_unreadable(text: str, masked: str) -> None:
    assert mask(text) == masked
    assert mask(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/oai?verb=ListRecords&resumptionToken=abc",
        "https://example.org/?next_token=5&page_token=6",
        "not_found error: https://example.org/a@b?sort_key=title: HTTP 404",
        "wrote to someone@example.org about keys: three of them",
        "the author's field 'authors': 'Ada'",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


def test_values_of_variables_that_are_called_like_secrets_are_secrets() -> None:
    environment = {"NCBI_API_KEY": "0123456789", "AWS_SECRET_ACCESS_KEY": "abcdefghijkl", "FLEET_HUB_PASSWORD_FILE": "/run/x", "KEYBOARD": "qwerty", "A_TOKEN": "x"}  # fmt: skip
    assert secrets_of(environment) == ("abcdefghijkl", "0123456789")


def test_text_that_means_harm_takes_no_time() -> None:
    for evil in (
        "a_" * 8000 + "=",
        "a" * 16_000 + "=",
        "://a:" * 3200 + "@",
        "authorization" * 1200 + "=",
        "'token':" * 2000,
    ):
        mask(evil)
