"""What is wrong with a pages.toml is told with file, line and the nearest right name."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from crawlers.runtime.pages.checks import hosts_of
from crawlers.runtime.pages.definition import Browser, NumbersPager
from crawlers.runtime.pages.processors import NAMES
from crawlers.runtime.pages.reading import DefinitionError, line_of, read_definition

GOOD = """\
[pages.listing]
start = "https://site.invalid/list?page=1"
pager = { kind = "numbers", url = "?page={page}", stop = { css = ".last" } }
check = ["Results", { css = "table" }]
fields.date = { css = "time" }

[pages.item]
links = { from = "listing", css = "td a" }
browser = { wait_for = "h1", steps = [{ click = ".more", times = 50 }] }

[pages.item.record]
_id = { field = "url", processors = [{ regex = "[^/]+$" }] }
"@type" = { value = "Dataset" }
date = { field = "date" }
author = { each = { css = "li" }, object = { name = { xpath = "." } } }

[pages.item.images]
css = "img"
"""


def read(folder: Path, text: str) -> DefinitionError:
    (folder / "pages.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError) as raised:
        read_definition(folder)
    return raised.value


def test_a_good_definition_is_read(tmp_path: Path) -> None:
    (tmp_path / "pages.toml").write_text(GOOD, encoding="utf-8")
    definition = read_definition(tmp_path)
    listing, item = definition.pages.values()
    assert isinstance(listing.pager, NumbersPager)
    assert isinstance(item.rendering, Browser)
    assert item.rendering.steps[0].times == 50
    assert [child for child, _ in definition.links_from("listing")] == ["item"]
    assert hosts_of(definition) == ["site.invalid"]


@pytest.mark.parametrize(
    ("right", "wrong", "line", "told"),
    [
        ('start = "https', 'strat = "https', 2, "unknown key 'strat'. Did you mean 'start'?"),
        ('css = "td a"', 'cs = "td a"', 8, "unknown key 'cs'. Did you mean 'css'?"),
        ('from = "listing"', 'from = "listin"', 8, "no page is called 'listin'. Did you mean 'listing'?"),
        ('links = { from = "listing", css', "links = { css", 8, "'from' is missing"),
        ("regex =", "regx =", 12, "unknown processor 'regx'. Did you mean 'regex'?"),
        ('field = "date"', 'field = "dat"', 14, "no field is called 'dat'. Did you mean 'date'?"),
        ('kind = "numbers"', 'kind = "number"', 3, "kind is 'number'. Did you mean 'numbers'?"),
        ('kind = "numbers", ', "", 3, "'kind' is missing. Kinds: next, numbers, list, offset, cursor"),
        ("?page={page}", "?page={p}", 3, "has to hold {page} and no other; got: p"),
        ('css = ".last"', 'css = ".last["', 3, "is no CSS selector"),
        ('xpath = "."', 'xpath = "//a["', 15, "is no XPath"),
        ("[^/]+$", "[^/+$", 12, "the argument of regex is '[^/+$'"),
        ('css = "td a"', 'css = "td a", xpath = "//a"', 8, "needs exactly one of"),
        ('css = "td a"', 'json = "items["', 8, "is no JMESPath expression"),
        ('fields.date = { css = "time" }', "fields.date = { required = true }", 5, "needs exactly one of"),
        ('start = "https://site.invalid/list?page=1"', 'start = "ftp://x"', 2, "is no URL that can be asked for"),
        ('start = "https://site.invalid/list?page=1"', "", 1, "is never reached"),
        ("_id =", "id =", 11, "has no _id"),
        ("times = 50", "times = 0", 9, "Expected `int` >= 1, got 0"),
        ('css = "img"', "", 17, "needs exactly one of"),
        ("[pages.item]", "[pages.Item]", 7, "is no name for a page"),
        ('"Results", ', '"", ', 4, "Expected `str` of length >= 1"),
        ("[pages.listing]", "host = 3\n[pages.listing]", 1, "unknown key 'host'. Did you mean 'hosts'?"),
        ("[pages.listing]", "[pages.listing", 1, "not TOML"),
        ('{ name = { xpath = "." } }', '{ name = { field = "nam" } }', 15, "no field is called 'nam'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path: Path, right: str, wrong: str, line: int, told: str) -> None:
    assert right in GOOD
    error = read(tmp_path, GOOD.replace(right, wrong, 1))
    assert told in error.reason
    assert error.line == line
    assert str(error).startswith(f"{tmp_path / 'pages.toml'}:{line}: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'pages' is missing"),
        ("[pages]\n", "there is no page"),
        ('[pages.a]\nstart = "http://x/"\n', "makes no record and leads to no page"),
        ('[pages.a]\nstart = "http://x/"\nwhole = true\nrecord._id = { css = "b" }\n', "items that are JSON"),
        ('[pages.a]\nstart = "http://x/"\nencoding = "utf-9"\nrecord._id = { css = "b" }\n', "is no charset"),
    ],
)
def test_a_definition_that_leads_nowhere_is_refused(tmp_path: Path, text: str, told: str) -> None:
    assert told in read(tmp_path, text).reason


def test_a_definition_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"pages.toml:1: can't be read"):
        read_definition(tmp_path)


def test_fields_of_grandparents_are_known_and_circles_of_pages_are_read(tmp_path: Path) -> None:
    text = """
        [pages.a]
        start = "http://site.invalid/"
        links = { from = ["a", "b"], css = "a.up" }
        fields.kind = { css = "b" }
        [pages.b]
        links = { from = "a", css = "a.down" }
        [pages.c]
        links = [{ from = "a", css = "a.c" }, { from = "b", css = "a.cc" }]
        record._id = { css = "i" }
        record.kind = { field = "kind" }
    """
    (tmp_path / "pages.toml").write_text(dedent(text), encoding="utf-8")
    definition = read_definition(tmp_path)
    assert {child for child, _ in definition.links_from("a")} == {"a", "b", "c"}


def test_the_line_of_a_key_is_found_in_each_way_to_write_it() -> None:
    text = 'a = 1\n[b]\nc.d = 2\n"e f" = 3\n[b.g]\nh = [\n  1,\n]\n'
    places = {("a",): 1, ("b",): 2, ("b", "c", "d"): 3, ("b", "e f"): 4, ("b", "g", "h", 0): 6, ("b", "g", "x"): 5}
    assert {place: line_of(text, place) for place in places} == places


def test_the_example_in_the_documentation_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "pages.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "pages.toml").write_text(example, encoding="utf-8")
    read_definition(tmp_path)
    documented = set(re.findall(r"`\"([\w-]+)\"`|`\{ ([\w-]+) =", text))
    assert {name for pair in documented for name in pair} >= set(NAMES)
