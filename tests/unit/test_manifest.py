"""Manifests: each fault is found, with file, line and what to write instead, and hides no other source."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawlers.runtime.errors import UsageError
from crawlers.runtime.manifest import Manifest, ManifestError, Retention, find_source, load_source, load_sources

GOOD = """\
name = "little"
kind = "scrapy"
title = "Little"
description = "A source of the tests."
url = "https://example.org/"
license_url = "https://example.org/terms"
contact = "crawl@example.org"
maintainer = "The tests"
schedule = "0 4 * * 6"
"""


def put(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "source.toml").write_text(text, encoding="utf-8")
    return folder


def changed(line: str) -> str:
    """The good manifest with the line of the same key replaced, or the line added at the end."""
    key = line.split(" ")[0]
    lines = [line if old.startswith(f"{key} ") else old for old in GOOD.splitlines()]
    return "\n".join(lines if line in lines else [*lines, line]) + "\n"


def test_a_good_manifest_has_defaults_that_are_polite(tmp_path: Path) -> None:
    manifest = load_source(put(tmp_path / "little", GOOD)).manifest
    assert (manifest.rate, manifest.concurrency, manifest.obey_robots) == (1.0, 1, True)
    assert (manifest.error_budget, manifest.allow_empty) == (0.0, False)


@pytest.mark.parametrize(
    ("line", "number", "said"),
    [
        ('name = "other"', 1, "name is 'other', but the folder is 'little'"),
        ('name = "../little"', 1, "name"),
        ('name = "Little"', 1, "name"),
        ("name = 7", 1, "name"),
        ('kind = "scrappy"', 2, "Did you mean 'scrapy'?"),
        ('title = ""', 3, "got ''"),
        ("description = 1", 4, "got 1"),
        ('url = "example.org"', 5, "got 'example.org'"),
        ('license_url = "ftp://example.org"', 6, "got 'ftp://example.org'"),
        ("contact = []", 7, "got []"),
        ('maintainer = ""', 8, "got ''"),
        ('schedule = "every day"', 9, "e.g. `0 4 * * 6`"),
        ('schedule = "0 4 * *"', 9, "five fields"),
        ('schedule = "61 4 * * 6"', 9, "61"),
        ('schedule = "0 4 * * 6 "', 9, "five fields"),
        ('schedule = "0 4 L * *"', 9, "five fields"),
        ("rate = 0", 10, "rate"),
        ('rate = "fast"', 10, "got 'fast'"),
        ("rate = inf", 10, "rate"),
        ("rate = nan", 10, "rate"),
        ("concurrency = 0", 10, "concurrency"),
        ("concurrency = 1.5", 10, "got 1.5"),
        ("error_budget = 2", 10, "error_budget"),
        ("error_budget = nan", 10, "error_budget"),
        ("reject_budget = -0.1", 10, "got -0.1"),
        ('allow_empty = "yes"', 10, "got 'yes'"),
        ("obey_robots = 0", 10, "got 0"),
        ("error_buget = 0.1", 10, "unknown field 'error_buget'. Did you mean 'error_budget'?"),
        ("[rate]", 10, "rate"),
        ('title = "two', 3, "not TOML"),
    ],
)
def test_each_fault_is_named_with_file_line_and_a_hint(tmp_path: Path, line: str, number: int, said: str) -> None:
    folder = put(tmp_path / "little", changed(line))
    with pytest.raises(ManifestError) as caught:
        load_source(folder)
    assert str(caught.value).startswith(f"{folder / 'source.toml'}:{number}: ")
    assert said in caught.value.reason


@pytest.mark.parametrize(
    "key", ["name", "kind", "title", "description", "url", "license_url", "contact", "maintainer", "schedule"]
)
def test_a_field_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    text = "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith(f"{key} "))
    with pytest.raises(ManifestError, match=f"missing: {key}. Add a line `{key} = …`"):
        load_source(put(tmp_path / "little", text))


def test_a_bad_manifest_hides_no_other(tmp_path: Path) -> None:
    put(tmp_path / "little", GOOD)
    put(tmp_path / "broken", "name = ")
    put(tmp_path / "wrong", GOOD)
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "source.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder" / "source.toml").mkdir(parents=True)
    (tmp_path / "no_source").mkdir()
    sources, errors = load_sources(tmp_path)
    assert [source.name for source in sources] == ["little"]
    assert [error.path.parent.name for error in errors] == ["binary", "broken", "folder", "wrong"]


def test_a_source_is_found_by_its_name_only(tmp_path: Path) -> None:
    put(tmp_path / "sources" / "little", GOOD)
    put(tmp_path / "elsewhere", GOOD)
    assert find_source(tmp_path / "sources", "little").name == "little"
    for name in ("../elsewhere", "", ".", "/", "little/", "litle", "LITTLE"):
        with pytest.raises(UsageError, match="no source is called"):
            find_source(tmp_path / "sources", name)
    with pytest.raises(UsageError, match="Did you mean 'little'"):
        find_source(tmp_path / "sources", "litle")
    with pytest.raises(UsageError, match="set FLEET_SOURCES_DIR"):
        load_sources(tmp_path / "nowhere")


KEYS = st.sampled_from([*Manifest.__struct_fields__, "unknown", '"quoted key"', "a.b", "[table]", "[[tables]]"])
VALUES = (
    st.sampled_from(["", '"', "[", "{}", "[1, {a = 2}]", "1979-05-27", "inf", "-nan", "0x1F", "'''", "true", "1e400"])
    | st.text().map(repr)
    | st.integers().map(str)
    | st.floats().map(str)
)
LINES = st.tuples(KEYS, VALUES).map(" = ".join) | st.sampled_from(GOOD.splitlines()) | st.text()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=14), good=st.booleans())
def test_whatever_a_manifest_holds_it_is_read_or_refused_with_its_place(
    tmp_path: Path, lines: list[str], good: bool
) -> None:
    text = (GOOD if good else "") + "\n".join(lines)
    folder = tmp_path / "little"
    folder.mkdir(exist_ok=True)
    (folder / "source.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        source = load_source(folder)
    except ManifestError as error:
        assert 1 <= error.line <= max(1, len(text.splitlines()) + 1)
        assert error.reason
    else:
        assert source.name == "little"


def test_how_long_releases_are_kept_is_a_table_of_its_own(tmp_path: Path) -> None:
    assert load_source(put(tmp_path / "little", GOOD)).manifest.archive == Retention(keep=10, keep_days=30)
    told = load_source(put(tmp_path / "little", GOOD + "\n[archive]\nkeep = 4\n")).manifest.archive
    assert (told.keep, told.keep_days) == (4, 30)
    for line in ("keep = 0", "keep_days = -1", "keep = 'all'", "kept = 1"):
        with pytest.raises(ManifestError, match=r"archive"):
            load_source(put(tmp_path / "little", f"{GOOD}\n[archive]\n{line}\n"))
