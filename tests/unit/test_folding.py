"""JSON as HTML that folds: bounded whatever it holds, with the place of a fault marked, and nothing in it that runs."""

from parsel import Selector

from hub.web.folding import Folder, contrast, long_text
from tests.xss import LONG, PAYLOADS


def test_every_value_is_shown_and_none_runs() -> None:
    html = Folder().fold(
        {payload: [payload, {"name": payload}] for payload in PAYLOADS} | {"n": None, "t": True, "x": 1.5}
    )
    page = Selector(html)
    assert not page.css("script, img, svg, iframe, style, base, meta, form, link")
    assert not page.xpath("//@*[starts-with(name(), 'on')]")
    assert page.css(".literal::text").getall() == ["null", "true", "1.5"]
    assert "\u202e" not in html


def test_the_place_of_a_fault_is_marked_and_unfolded() -> None:
    page = Selector(Folder().fold({"author": [{"name": "Ana"}, {"name": 7}], "other": {"name": 7}}, "author[1].name"))
    assert page.css(".fault .key bdi::text").getall() == ["name"]
    opened = page.css("details[open] > summary .key bdi::text").getall()
    assert opened == ["author", "1"]


def test_a_page_is_bounded_whatever_documents_hold() -> None:
    folder = Folder()
    document = {f"field{number}": LONG for number in range(3_000)}
    whole = "".join(folder.fold(document) for _ in range(50))
    assert len(whole) < 8_000_000
    assert "more</li>" in whole
    assert len(folder.fold({"a": [[[[[]]]]] * 100_000})) < 5_000


def test_nesting_is_bounded() -> None:
    nested: list = []
    for _ in range(200):
        nested = [nested]
    assert "deeper than is shown" in Folder().fold(nested)


def test_only_what_differs_in_long_texts_is_shown_and_marked() -> None:
    before, after = contrast("same " * 100 + "old" + " end" * 100, "same " * 100 + "newer" + " end" * 100)
    assert "<mark>old</mark>" in before and "<mark>newer</mark>" in after
    assert len(before) < 400
    assert contrast(None, "x") == ('<span class="quiet">not there</span>', long_text("x"))
    assert "<script" not in "".join(contrast(PAYLOADS[0], PAYLOADS[1]))
