"""What becomes of the metadata of OAI-PMH records: each folder in oai_records/ holds one as a server gives it, and ours made of it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from crawlers.runtime.ndjson import encode
from crawlers.runtime.oai.answer import OaiRecord, read_answer
from crawlers.runtime.oai.convert import ConversionError, convert
from crawlers.runtime.oai.convert.dates import iso_date, iso_period
from crawlers.runtime.oai.convert.identifiers import landing_page
from crawlers.runtime.oai.convert.people import agent
from crawlers.runtime.oai.convert.vocabulary import language

RECORDS = Path(__file__).parent / "oai_records"
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=40
)


def read(body: bytes) -> OaiRecord:
    envelope = b'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><GetRecord>' + body + b"</GetRecord></OAI-PMH>"
    (record,) = read_answer(envelope).records()
    return record


def record_of(metadata: str) -> OaiRecord:
    return OaiRecord("oai:example.org:1", "2024-01-01", (), False, etree.fromstring(metadata))


def dublin_core(**elements: str | list[str]) -> dict:
    root = etree.Element("{http://www.openarchives.org/OAI/2.0/oai_dc/}dc")
    for name, values in elements.items():
        for value in [values] if isinstance(values, str) else values:
            etree.SubElement(root, f"{{http://purl.org/dc/elements/1.1/}}{name}").text = value
    return convert(OaiRecord("oai:example.org:1", "2024-01-01", (), False, root))


@pytest.mark.parametrize("folder", sorted(path.name for path in RECORDS.iterdir()))
def test_a_record_of_each_format_is_converted_as_expected(folder: str) -> None:
    made = convert(read((RECORDS / folder / "record.xml").read_bytes()))
    assert json.loads(encode(made)) == json.loads((RECORDS / folder / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", sorted(path.name for path in RECORDS.iterdir()))
def test_each_text_in_the_metadata_is_somewhere_in_the_record(folder: str) -> None:
    """But for e-mail addresses, the text of the article itself, and numbers that only PubMed Central's own files have."""
    record = read((RECORDS / folder / "record.xml").read_bytes())
    made = encode(convert(record)).decode().lower()
    dropped = {
        "email",
        "label",
        "sup",
        "schemaVersion",
        "datacentreSymbol",
        "day",
        "month",
        "year",
        "title",
        "p",
        "roleTerm",
    }
    for element in record.metadata.iter(etree.Element):
        name = etree.QName(element).localname
        if len(element) or name in dropped or element.get("pub-id-type") == "pmcaid":
            continue
        for word in (element.text or "").split():
            plain = word.strip("&.,()<>/-").lower()
            if len(plain) > 3 and plain.isalpha():
                assert plain in made or language(plain) in made, f"{name}: {word}"


def test_a_server_that_leaves_the_namespace_out_is_understood() -> None:
    made = convert(
        record_of("<resource><titles><title>Lorem</title></titles><identifier>urn:uuid:1</identifier></resource>")
    )
    assert (made["name"], made["identifier"]) == ("Lorem", ["urn:uuid:1"])


def test_a_resource_that_is_not_datacites_is_kept_as_it_is() -> None:
    made = convert(record_of('<resource xmlns="http://example.org/other"><name>A thing</name></resource>'))
    assert made["metadata"]["namespace"] == "http://example.org/other"
    assert "<name>A thing</name>" in made["metadata"]["xml"]


def test_a_record_without_metadata_is_an_error_that_says_so() -> None:
    with pytest.raises(ConversionError, match="not deleted, but has no metadata"):
        convert(OaiRecord("oai:example.org:1", "2024-01-01", (), False, None))
    with pytest.raises(ConversionError, match="no identifier"):
        convert(OaiRecord(" ", "2024-01-01", (), False, etree.Element("dc")))


def test_an_empty_envelope_of_datacite_is_an_error() -> None:
    with pytest.raises(ConversionError, match="payload"):
        convert(record_of("<oai_datacite><payload/></oai_datacite>"))


def test_of_two_dates_the_more_exact_one_of_the_same_month_is_that_of_publication() -> None:
    assert dublin_core(date=["2014-12", "2014-12-05", "2015-01-01"])["datePublished"] == "2014-12-05"
    assert dublin_core(date=["2013-06-25", "2013-09"])["datePublished"] == "2013-06-25"


def test_the_landing_page_is_the_first_url_that_is_no_file() -> None:
    assert landing_page(["https://a.org/bitstream/1/x.pdf", "https://a.org/1"], "10.1234/x") == "https://a.org/1"
    assert landing_page(["https://a.org/x.pdf"], "10.1234/x") == "https://doi.org/10.1234/x"
    assert landing_page(["http://dx.doi.org/10.1234/x"], "") == "https://doi.org/10.1234/x"
    assert landing_page(["https://a.org/x.pdf"], "") == "https://a.org/x.pdf"
    assert landing_page([], "") == ""


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2014", "2014"),
        ("2014-12", "2014-12"),
        ("2014-12-05", "2014-12-05"),
        ("2010-09-13T15:02:01Z", "2010-09-13T15:02:01Z"),
        ("2010/9/3", "2010-09-03"),
        ("20100903", "2010-09-03"),
        ("01-Jan-1930", "1930-01-01"),
        ("5 May 2001", "2001-05-05"),
        ("December 5, 2014", "2014-12-05"),
        ("Dec 2014", "2014-12"),
        ("05/04/2014", ""),
        ("2014-13-01", ""),
        ("2014-02-30", ""),
        ("10000-01-01", ""),
        ("1950?", ""),
        ("", ""),
    ],
)
def test_dates_become_iso_8601_and_what_has_two_readings_is_not_guessed(text: str, date: str) -> None:
    assert iso_date(text) == date


def test_a_period_has_two_ends_of_which_one_may_be_open() -> None:
    assert iso_period("1990-01-01/2000") == "1990-01-01/2000"
    assert iso_period("/2000") == "../2000"
    assert iso_period("2011/05") == "2011-05"
    assert iso_period("soon/later") == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("eng", "en"),
        ("English", "en"),
        ("en_US", "en-US"),
        ("ger", "de"),
        ("yap", "yap"),
        ("Multiple", "Multiple"),
        ("", ""),
    ],
)
def test_languages_are_written_as_bcp_47(text: str, code: str) -> None:
    assert language(text) == code


def test_a_name_with_a_comma_is_a_person_and_one_with_a_word_for_it_an_organisation() -> None:
    assert agent("Smith, John") == {
        "@type": "Person",
        "name": "Smith, John",
        "givenName": "John",
        "familyName": "Smith",
    }
    assert agent("Department of Energy, Office of Science")["@type"] == "Organization"
    assert agent("Meika4") == {"name": "Meika4"}
    assert agent("Fenner, Martin; 0000-0003-1419-2405")["identifier"] == "https://orcid.org/0000-0003-1419-2405"


def test_markup_goes_and_what_only_looks_like_it_stays() -> None:
    made = dublin_core(description="<p>a<sub>2</sub> &lt;i&gt;b&lt;/i&gt; if x<y and y>z</p>")
    assert made["description"] == "a2 b if x<y and y>z"


@given(
    st.lists(
        st.tuples(st.sampled_from(["title", "creator", "date", "identifier", "rights", "coverage", "x"]), TEXT),
        max_size=12,
    )
)
def test_whatever_the_values_are_a_record_comes_out_that_can_be_written(pairs: list[tuple[str, str]]) -> None:
    root = etree.Element("{http://www.openarchives.org/OAI/2.0/oai_dc/}dc")
    for name, text in pairs:
        etree.SubElement(root, name).text = text
    made = convert(OaiRecord("oai:example.org:1", "2024-01-01", (), False, root))
    encode(made)
    written = encode(made).decode()
    for _, text in pairs:
        for word in text.split():
            if word.isalnum() and word.isascii() and len(word) > 4:
                assert word in written


@given(TEXT)
def test_a_date_is_never_more_exact_than_what_was_said(text: str) -> None:
    date = iso_date(text)
    assert sum(character.isdigit() for character in date) <= sum(character.isdigit() for character in text) + 4
