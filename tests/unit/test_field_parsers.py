"""The parsers of fields: what sites write, and what becomes of it. Whatever they are given, they raise nothing but Unparsable."""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crawlers.runtime.ndjson import encode
from crawlers.runtime.schema.dates import ISO_DATE, parse_date
from crawlers.runtime.schema.fields import FieldType
from crawlers.runtime.schema.identifiers import (
    parse_agent_identifier,
    parse_doi,
    parse_identifier,
    parse_orcid,
    parse_pmid,
    parse_ror,
)
from crawlers.runtime.schema.models import MODELS
from crawlers.runtime.schema.texts import (
    parse_boolean,
    parse_language,
    parse_line,
    parse_number,
    parse_text,
    parse_url,
)
from crawlers.runtime.schema.unparsable import Unparsable

AMBIGUOUS = "ambiguous: day and month could be either way round"
DATES = {
    2019: "2019",
    "2019": "2019",
    "2019-05": "2019-05",
    "2019-05-04": "2019-05-04",
    "2019-5-4": "2019-05-04",
    "2019/05/04": "2019-05-04",
    "2019.05.04": "2019-05-04",
    "20190504": "2019-05-04",
    "20190504T101112Z": "2019-05-04T10:11:12Z",
    "2019-00-00": "2019",
    "2019-05-00": "2019-05",
    "2019-05-04T10:11:12Z": "2019-05-04T10:11:12Z",
    "2019-05-04T10:11:12.123+02:00": "2019-05-04T10:11:12.123+02:00",
    "2019-05-04 10:11:12": "2019-05-04T10:11:12",
    "2019-05-04T10:11:12+0200": "2019-05-04T10:11:12+02:00",
    "2019-05-04 9:05": "2019-05-04T09:05",
    "2019-05-04 10:11:12 UTC": "2019-05-04T10:11:12Z",
    " 2019-05-04\n": "2019-05-04",
    "13/05/2019": "2019-05-13",
    "05/13/2019": "2019-05-13",
    "05/05/2019": "2019-05-05",
    "13.5.2019": "2019-05-13",
    "05/2019": "2019-05",
    "May 2019": "2019-05",
    "2019 May": "2019-05",
    "may, 2019": "2019-05",
    "4 May 2019": "2019-05-04",
    "May 4, 2019": "2019-05-04",
    "May 4th, 2019": "2019-05-04",
    "4th of May 2019": "2019-05-04",
    "04-May-2019": "2019-05-04",
    "2019 May 4": "2019-05-04",
    "September 2010": "2010-09",
    "Sat, 04 May 2019 10:11:12 GMT": "2019-05-04T10:11:12Z",
    "Sat May 4 10:11:12 UTC 2019": "2019-05-04T10:11:12Z",
    date(2019, 5, 4): "2019-05-04",
    datetime(2019, 5, 4, 10, 11, 12, tzinfo=UTC): "2019-05-04T10:11:12Z",
}
NO_DATES = {
    "04/05/2019": AMBIGUOUS,
    "4.5.2019": AMBIGUOUS,
    "04/05/19": "not a date",
    "4 May 19": "a date without a year of four digits",
    "May": "a date without a year of four digits",
    "2019-2020": "a period, not a date",
    "2015-06-20/2015-08-23": "a period, not a date",
    "2019-02-30": "a day that does not exist, or a year before 1000 or after 2999",
    "31 April 2019": "not a date",
    "2019-13-01": "a day that does not exist, or a year before 1000 or after 2999",
    "0001-01-01": "a day that does not exist, or a year before 1000 or after 2999",
    "9999-12-31": "a day that does not exist, or a year before 1000 or after 2999",
    "Spring 2019": "not a date",
    "4 May 2019 10:00 XYZ": "not a date",
    "n/a": "not a date",
    "": "not a date",
    "1" * 10_000_000: "not a date",
    1556928000: "is a number, expected is a date",
    2019.5: "is a number, expected is a date",
    True: "is a boolean, expected is a date",
}
SCALARS: dict[str, Callable[[Any], Any]] = {
    parser.__name__: parser
    for parser in (
        parse_line,
        parse_text,
        parse_language,
        parse_url,
        parse_number,
        parse_boolean,
        parse_date,
        parse_doi,
        parse_pmid,
        parse_orcid,
        parse_ror,
        parse_identifier,
        parse_agent_identifier,
    )
}
# Text as sites write it, and worse: markup, entities, dates, identifiers, halves of characters, in any order.
SNIPPETS = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<br/>",
        "<",
        ">",
        "&",
        "&amp;",
        "&lt;",
        "&amp;lt;",
        "&#60;",
        "&#x3c;",
        "&nbsp;",
        "<!--",
        "-->",
        "<script>",
        "</script>",
        "<![CDATA[",
        "]]>",
        "<b",
        "and",
        "c>",
        "x<y",
        "2019",
        "05",
        "04",
        "-",
        "/",
        ".",
        ":",
        "T",
        "Z",
        "+02:00",
        "May",
        "of",
        "th",
        "10.5061/",
        "doi:",
        "https://",
        "example.org",
        "orcid.org/",
        "0000-0002-1825-0097",
        "ror.org/",
        "02mhbdp94",
        "en",
        "german",
        ",",
        ";",
        "'",
        '"',
        "\\",
        "1,234",
        "1e9",
        "inf",
        "\x00",
        "\x1b",
        "\xa0",
        "\u2028",
        "\ufeff",
        "é",
        "漢",
        "😀",
        "�",
    ]
) | st.just(" ")
TEXTS = st.text(max_size=40) | st.lists(SNIPPETS, max_size=12).map("".join)
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes()
)
KEYS = TEXTS | st.sampled_from(
    """@type @id @value name givenName familyName identifier orcid affiliation value url doi pmid funder author description
    datePublished nameType $where a.b""".split()  # noqa: SIM905
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5) | st.tuples(inner, inner),
    max_leaves=12,
)
# Each type that a field of a model has, once.
TYPES = list(dict.fromkeys(field_type for model in MODELS.values() for field_type in model.types.values()))
ROUGH = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.parametrize(("value", "expected"), DATES.items(), ids=lambda value: repr(value)[:40])
def test_a_date_becomes_iso_8601_and_stays_as_partial_as_it_is(value: Any, expected: str) -> None:
    assert parse_date(value) == expected


@pytest.mark.parametrize(("value", "reason"), NO_DATES.items(), ids=lambda value: repr(value)[:40])
def test_what_is_no_date_or_could_be_two_is_told(value: Any, reason: str) -> None:
    with pytest.raises(Unparsable) as raised:
        parse_date(value)
    assert raised.value.reason == reason


def test_a_source_that_knows_which_comes_first_says_so() -> None:
    assert parse_date("04/05/2019", day_first=True) == "2019-05-04"
    assert parse_date("04/05/2019", day_first=False) == "2019-04-05"
    assert parse_date("04/13/2019", day_first=True) == "2019-04-13"


@ROUGH
@given(
    st.dates(date(1000, 1, 1), date(2999, 12, 31)),
    st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%d %B %Y", "%B %d, %Y", "%Y%m%d", "%d-%b-%Y"]),
)
def test_a_day_that_is_told_clearly_is_understood(day: date, form: str) -> None:
    assert parse_date(day.strftime(form).replace(f"{day.year}".lstrip("0"), f"{day.year:04}")) == day.isoformat()


@pytest.mark.parametrize(
    ("value", "expected"),
    {
        "A <i>Drosophila</i> study": "A Drosophila study",
        "p<0.05 and q>3": "p<0.05 and q>3",
        "x<y and z>w, a<b and c>d": "x<y and z>w, a<b and c>d",
        "p &lt; 0.05 &amp; more": "p < 0.05 & more",
        "&lt;p&gt;escaped&lt;/p&gt;": "escaped",
        '<a href="https://example.org/?a=1&amp;copy=2">link</a>': "link",
        "a?b=1&copy=2": "a?b=1&copy=2",
        "one<br>two<p>three</p>": "one two three",
        "H<sub>2</sub>O": "H2O",
        "<jats:p>An abstract</jats:p>": "An abstract",
        "<!-- hidden --><style>p {}</style>seen<script>alert(1)</script>": "seen",
        "<![CDATA[kept]]>": "kept",
        "tab\tand\nline": "tab and line",
        "bell\x07 and mark\ufeff": "bell and mark",
        3: "3",
        1.5: "1.5",
    }.items(),
)
def test_text_loses_its_html_and_nothing_else(value: Any, expected: str) -> None:
    assert parse_line(value) == expected


def test_a_long_text_keeps_its_paragraphs() -> None:
    assert parse_text("<p>One,\n  two.</p><p>Three.</p>") == "One,\ntwo.\nThree."
    assert parse_text(["First.", "Second."]) == "First.\nSecond."


@pytest.mark.parametrize(
    ("parse", "value", "expected"),
    [
        (parse_language, "en_US", "en-US"),
        (parse_language, "deu", "de"),
        (parse_language, "English", "en"),
        (parse_language, {"@type": "Language", "name": "French"}, "fr"),
        (parse_url, " https://example.org/a b?q=é ", "https://example.org/a%20b?q=%C3%A9"),
        (parse_number, "1,234,567", 1234567),
        (parse_number, "1 234", 1234),
        (parse_number, "1,5", 1.5),
        (parse_number, "12.50", 12.5),
        (parse_boolean, "Yes", True),
        (parse_boolean, "https://schema.org/False", False),
        (parse_boolean, 0, False),
        (parse_doi, "https://doi.org/10.5061/DRYAD.1", "10.5061/dryad.1"),
        (parse_doi, "doi: 10.1594/PANGAEA.902845", "10.1594/pangaea.902845"),
        (parse_pmid, "PMID: 0012345", "12345"),
        (parse_pmid, "https://pubmed.ncbi.nlm.nih.gov/12345/", "12345"),
        (parse_pmid, 12345, "12345"),
        (parse_orcid, "0000-0002-1825-0097", "https://orcid.org/0000-0002-1825-0097"),
        (parse_orcid, "http://orcid.org/0000-0002-1694-233x", "https://orcid.org/0000-0002-1694-233X"),
        (parse_ror, "ROR.org/02MHBDP94", "https://ror.org/02mhbdp94"),
        (parse_agent_identifier, {"@type": "PropertyValue", "value": "0000-0002-1825-0097"}, "https://orcid.org/0000-0002-1825-0097"),
        (parse_agent_identifier, "ISNI 0000 0001 2103 2683", "ISNI 0000 0001 2103 2683"),
    ],
)  # fmt: skip
def test_values_take_the_one_form_of_their_type(parse: Callable[[Any], Any], value: Any, expected: Any) -> None:
    assert parse(value) == expected
    assert parse(expected) == expected


@pytest.mark.parametrize(
    ("parse", "value", "reason"),
    [
        (parse_line, {"name": "x"}, "is an object, expected is text"),
        (parse_line, "cut \ud83d", "text that is cut in the middle of a character (a lone surrogate)"),
        (parse_line, "&amp;" + "amp;" * 20 + "lt;", "HTML that is escaped more than 8 times over"),
        (parse_line, float("nan"), "not a finite number"),
        (parse_language, "gibberish", "not a language"),
        (parse_url, "www.example.org", "not a URL that begins with http://, https:// or ftp://"),
        (parse_url, "https://a.org https://b.org", "several URLs, one is expected"),
        (parse_url, "https:///x", "a URL without a host"),
        (parse_url, "https://[::1", "not a valid URL"),
        (parse_url, "javascript:alert(1)", "not a URL that begins with http://, https:// or ftp://"),
        (parse_number, "1,234", "ambiguous: the comma may separate thousands or decimals"),
        (parse_number, "12 GB", "not a number"),
        (parse_number, 2**64, "a number beyond 64 bits"),
        (parse_number, math.inf, "not a finite number"),
        (parse_boolean, "maybe", "is text, expected is true or false"),
        (parse_boolean, 2, "is a number, expected is true or false"),
        (parse_doi, "https://example.org/10.5061/x", "not a DOI"),
        (parse_pmid, "PMC12345", "not a PubMed number"),
        (parse_orcid, "0000-0002-1825-0098", "not an ORCID: the checksum is wrong"),
        (parse_ror, "https://ror.org/02mhbdp95", "not a ROR: the checksum is wrong"),
    ],
)
def test_what_can_t_be_parsed_is_told_in_few_words(parse: Callable[[Any], Any], value: Any, reason: str) -> None:
    with pytest.raises(Unparsable) as raised:
        parse(value)
    assert raised.value.reason == reason


@pytest.mark.parametrize("name", SCALARS)
def test_a_parser_gives_back_its_own_output_and_raises_nothing_but_its_error(name: str) -> None:
    parse = SCALARS[name]

    @ROUGH
    @given(VALUES)
    @example("<" * 5000)
    @example("&lt;" * 5000)
    @example("<!--" * 5000)
    @example("10.1" + "1" * 5000)
    @example("2019" * 5000)
    @example(10**5000)
    def run(value: Any) -> None:
        try:
            parsed = parse(value)
        except Unparsable as error:
            assert error.reason
            assert len(error.reason) < 120, "reports are grouped by it"
            return
        encode({"_id": "1", "value": parsed})
        if parsed != "":
            assert parse(parsed) == parsed
        if parse is parse_date:
            assert re.match(ISO_DATE, parsed)

    run()


@settings(ROUGH, max_examples=400)
@given(st.sampled_from(TYPES), VALUES)
def test_every_type_of_field_takes_anything_and_gives_back_its_own_output(field_type: FieldType, value: Any) -> None:
    reports: list[tuple[str, Any, str]] = []
    parsed = field_type.parse(value, lambda *told: reports.append(told))
    assert all(isinstance(path, str) and reason for path, _, reason in reports)
    if parsed is None:
        return
    assert parsed not in ("", [], {})
    again: list[tuple[str, Any, str]] = []
    assert _same(field_type.parse(parsed, lambda *told: again.append(told)), parsed)
    assert not again, "what was parsed once is never at fault"


def _same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # NaN, in a key that the parser doesn't know, is not equal to itself
