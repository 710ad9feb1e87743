"""Answers of OAI-PMH servers: read as they are, mended and said so, or refused with what they are instead."""

import pytest

from crawlers.runtime.oai.answer import AnswerError, Broken, Token, find_token, read_answer

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
TOKEN = '<resumptionToken completeListSize="9" cursor="0">a&amp;b</resumptionToken>'


def record(identifier: str, title: str = "A title") -> str:
    return (
        f"<record><header><identifier>{identifier}</identifier><datestamp>2024-01-31</datestamp><setSpec>a:b</setSpec></header>"
        f"<metadata><dc><title>{title}</title></dc></metadata></record>"
    )


def answer(*records: str, token: str = TOKEN) -> bytes:
    return f"{HEAD}<ListRecords>{''.join(records)}{token}</ListRecords></OAI-PMH>".encode()


def titles(body: bytes) -> list[str | None]:
    return [found.metadata.findtext("{*}title") for found in read_answer(body).records()]


def test_a_good_answer_is_read_as_it_is() -> None:
    read = read_answer(
        answer(record("one"), '<record><header status="deleted"><identifier>two</identifier></header></record>')
    )
    first, second = read.records()
    assert (first.identifier, first.datestamp, first.set_specs, first.deleted) == ("one", "2024-01-31", ("a:b",), False)
    assert (second.identifier, second.deleted, second.metadata) == ("two", True, None)
    assert read.token == Token("a&b", 9, 0)
    assert (read.repairs, read.broken, read.errors) == ([], [], ())


@pytest.mark.parametrize(
    ("title", "expected", "said"),
    [
        ("a\x0bb", "ab", "control characters"),
        ("a&#11;b", "ab", "references to control characters"),
        ("a & b", "a & b", "ampersands"),
        ("a&nbsp;b &amp; c", "a\xa0b & c", "named entities"),
        ("a&unknown;b", "a&unknown;b", "named entities"),
        ("a&u;b &u.v-w;", "a&u;b &u.v-w;", "named entities"),
    ],
)
def test_what_xml_has_no_place_for_is_mended_and_said(title: str, expected: str, said: str) -> None:
    body = answer(record("one", title), record("two"))
    assert titles(body) == [expected, "A title"]
    assert any(said in repair for repair in read_answer(body).repairs)


def test_bytes_that_are_not_utf_8_are_replaced_and_said() -> None:
    body = answer(record("one", "caf@")).replace(b"@", b"\xe9")
    assert titles(body) == ["caf\ufffd"]
    assert read_answer(body).repairs == ["1 bytes that are not UTF-8 were replaced"]


def test_an_encoding_that_is_declared_is_heeded() -> None:
    body = answer(record("one", "café & co")).decode().replace("UTF-8", "ISO-8859-1").encode("latin-1")
    assert titles(body) == ["café & co"]


def test_of_a_page_with_a_broken_record_the_others_are_read_as_they_are() -> None:
    body = answer(record("one"), record("two", "cut</dc></metadata>"), record("three"))
    read = read_answer(body)
    assert {found.identifier for found in read.records()} >= {"one", "three"}
    assert read.broken or any("two" in repair for repair in read.repairs)
    assert read.token == Token("a&b", 9, 0)


def test_a_record_of_which_nothing_can_be_read_is_named() -> None:
    body = answer(record("one"), record("two").replace("<metadata><dc>", "<metadata></oops><"), record("three"))
    read = read_answer(body)
    assert [found.identifier for found in read.records()] == ["one", "three"]
    [broken] = read.broken
    assert isinstance(broken, Broken)
    assert broken.identifier == "two"


def test_an_answer_that_ends_early_is_no_answer_and_still_tells_its_token_if_it_has_one() -> None:
    with pytest.raises(AnswerError, match="ends early") as caught:
        read_answer(answer(record("one"), record("two"))[:-40])
    assert caught.value.kind == "truncated"
    assert find_token(b"<ListRecords><record><oops><resumptionToken cursor='7'>x&amp;y</resumptionToken>") == Token(
        "x&y", None, 7
    )
    assert find_token(b"<resumptionToken/>") is None


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><head><title>Log in</title></head><body><p>x</body></html>",
        b"<html><head><title>Log in</title></head></html>",
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x" "y">\n<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Log in</title></head></html>',
    ],
)
def test_a_page_for_people_is_told_by_its_title(body: bytes) -> None:
    with pytest.raises(AnswerError, match="an HTML page, not OAI-PMH: Log in") as caught:
        read_answer(body)
    assert caught.value.kind == "html"


def test_entities_of_a_document_type_are_not_expanded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    body = answer(record("one", "[&b;] [&f;]")).replace(b"?>\n", f"?>\n{bomb}".encode(), 1)
    assert titles(body) == ["[&b;] [&f;]"]


@pytest.mark.parametrize("body", [b"", b"no XML", b"<rss/>", b"\x00" * 100, b"<OAI-PMH>" * 5000])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(AnswerError):
        read_answer(body)


def test_errors_are_told_apart() -> None:
    read = read_answer(f'{HEAD}<error code="noRecordsMatch">None.</error></OAI-PMH>'.encode())
    assert (read.error, read.describe_errors()) == ("noRecordsMatch", "noRecordsMatch: None.")
