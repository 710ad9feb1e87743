"""Release strings, and the files that describe a release."""

import string
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.runtime.errors import ReleaseError
from crawlers.runtime.release import (
    checksum,
    format_release,
    parse_release,
    read_description,
    read_release,
)

ANYWHERE = Path("somewhere/release.txt")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T01:02:03Z", datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)),
        ("2026-11-22T01:02:03Z\n", datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)),
        ("2026-11-22T01:02:03Z\r\n", datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)),
        ("2026-11-22T01:02:03.25+05:30", datetime(2026, 11, 21, 19, 32, 3, 250000, tzinfo=UTC)),
    ],
)
def test_a_date_with_a_time_zone_is_a_release(text: str, moment: datetime) -> None:
    release = parse_release(text, ANYWHERE)
    assert release.at == moment
    assert str(release) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "2026-11-22",
        "2026-11-22T01:02:03",
        "2026-11-22 01:02:03Z",
        "2026-11-22T01:02:03z",
        "2026-11-22T01:02:03Z\n\n",
        "2026-11-22T01:02:03Z\nx",
        " 2026-11-22T01:02:03Z",
        "2026-13-22T01:02:03Z",
        "2026-11-22T25:02:03Z",
        "2026-11-22T01:02:03+99:00",
        "20261122T010203Z",
        "2026-W47-7T01:02:03Z",
        "٢٠٢٦-11-22T01:02:03Z",
        "../../2026-11-22T01:02:03Z",
        "2026-11-22T01:02:03Z/..",
        "2026-11-22T01:02:03Z\0",
    ],
)
def test_anything_else_is_refused_and_the_message_names_the_file_and_what_it_holds(text: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        parse_release(text, ANYWHERE)
    assert str(ANYWHERE) in str(caught.value)
    assert repr(text) in str(caught.value)
    assert "e.g. 2026-11-22T01:02:03Z" in str(caught.value)


@given(
    st.text(string.digits + "-:TZ.+/\\\n\0 ", max_size=40)
    | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?\s?.?", fullmatch=True)
    | st.text()
)
def test_what_passes_names_a_folder_of_its_own_and_has_a_zone(text: str) -> None:
    try:
        release = parse_release(text, ANYWHERE)
    except ReleaseError:
        return
    assert set(release.text) <= set("0123456789-:.+TZ")
    assert release.text.isascii()
    assert Path(release.text).name == release.text
    assert not release.text.startswith(".")
    assert release.at.tzinfo is not None
    assert text.startswith(release.text)


@given(st.datetimes(timezones=st.timezones()))
def test_the_release_of_any_moment_is_read_as_that_moment_to_the_second(moment: datetime) -> None:
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return
    assert parse_release(format_release(moment), ANYWHERE).at == utc.replace(microsecond=0)


def test_the_release_is_in_utc() -> None:
    moment = datetime(2026, 11, 22, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert format_release(moment) == "2026-11-21T23:02:03Z"


def test_no_release_is_none_and_an_unreadable_one_an_error(tmp_path: Path) -> None:
    assert read_release(tmp_path) is None
    assert read_description(tmp_path) is None
    (tmp_path / "release.txt").write_bytes(b"\xff\xfe" * 1000)
    with pytest.raises(ReleaseError, match="release was refused"):
        read_release(tmp_path)
    (tmp_path / "release.txt").unlink()
    (tmp_path / "release.txt").mkdir()
    with pytest.raises(ReleaseError, match="Check that it is a file"):
        read_release(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"source": 1}', b"nonsense"])
def test_a_description_of_another_form_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "release.json").write_bytes(content)
    with pytest.raises(ReleaseError, match=r"release\.json"):
        read_description(tmp_path)


def test_fields_that_a_newer_crawler_adds_to_the_description_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "release.json").write_text(
        '{"source": "a", "release": "r", "records": 1, "bytes": 2, "sha256": "x", "new": {"a": 1}}'
    )
    description = read_description(tmp_path)
    assert description is not None
    assert description.records == 1


def test_the_checksum_counts_bytes_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "data.ndjson"
    content = b'{"_id":"1"}\n' * 200_000
    path.write_bytes(content)
    assert checksum(path) == {"sha256": sha256(content).hexdigest(), "bytes": len(content), "records": 200_000}
