"""JSON for people: HTML that folds, in which nothing of what a site wrote can run, hide or fill the page.

A document is shown as far as a page can hold it, and says where it was cut; the whole of it is at its endpoint.
"""

from typing import Any

from tornado.escape import xhtml_escape

from crawlers.runtime.terminal import safe
from hub.web.formats import is_web

# Of one document, and of all of a page.
_NODES, _NODES_OF_PAGE = 1_500, 6_000
_CHARACTERS_OF_PAGE = 500_000
_DEPTH = 30
# Of a long text, so much is shown at once, and so much when it is unfolded.
_BEGINNING, _UNFOLDED = 600, 40_000
# Of what two values have in common, so much is shown on either side of where they differ.
_AROUND = 100
_NOT_THERE = '<span class="quiet">not there</span>'


class Folder:
    """Folds the documents of one page, which together may not fill it."""

    def __init__(self) -> None:
        self.nodes = _NODES_OF_PAGE
        self.characters = _CHARACTERS_OF_PAGE

    def fold(self, value: Any, marked: str = "", open_levels: int = 1) -> str:
        """HTML of ``value``. ``marked``: the path of the place that is at fault, as ``author.0.name``: it is unfolded, and marked.

        ``open_levels``: how many levels are unfolded.
        """
        path = tuple(part for part in marked.replace("[", ".").replace("]", "").split(".") if part)
        return f'<div class="json">{_Folding(path, self).show(value, (), open_levels)}</div>'

    def text(self, text: str) -> str:
        """HTML of a text of any length; once the page is full, of its beginning alone."""
        self.characters -= min(len(text), _UNFOLDED)
        return long_text(text, _UNFOLDED if self.characters > 0 else 0)


def long_text(text: str, unfolded: int = _UNFOLDED) -> str:
    """HTML of a text of any length: its beginning, and the rest, up to ``unfolded`` characters, folded. Lines stay lines."""
    if len(text) <= _BEGINNING:
        return f'<bdi class="text">{_lines(text)}</bdi>'
    more = "" if len(text) <= unfolded else f'<p class="quiet">… cut: {len(text):,} characters in all</p>'
    return (
        f'<details class="long"><summary><bdi class="text">{_lines(text[:_BEGINNING])}</bdi>'
        f'<span class="quiet"> … {len(text):,} characters</span></summary>'
        f'<bdi class="text" tabindex="0">{_lines(text[_BEGINNING:unfolded])}</bdi>{more}</details>'
    )


def contrast(before: str | None, after: str | None) -> tuple[str, str]:
    """HTML of two values, with what differs marked, and of what is alike only so much as lies around it. None: nothing is there."""
    if before is None or after is None:
        first, second = (_NOT_THERE if side is None else long_text(side) for side in (before, after))
        return first, second
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    first, second = (_contrasted(side, start, len(side) - end) for side in (before, after))
    return first, second


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _contrasted(text: str, start: int, end: int) -> str:
    head, middle, tail = text[:start], text[start:end], text[end:]
    if len(head) > _AROUND:
        head = "…" + head[-_AROUND:]
    if len(tail) > _AROUND:
        tail = tail[:_AROUND] + "…"
    if len(middle) > _BEGINNING:
        return f'<bdi class="text">{_lines(head)}</bdi>{long_text(middle)}'
    return f'<bdi class="text">{_lines(head)}<mark>{_lines(middle)}</mark>{_lines(tail)}</bdi>'


class _Folding:
    def __init__(self, marked: tuple[str, ...], page: Folder) -> None:
        self._marked = marked
        self._page = page
        self._left = min(_NODES, max(page.nodes, 0))

    def show(self, value: Any, path: tuple[str, ...], open_levels: int) -> str:
        if isinstance(value, dict):
            return self._members(list(value.items()), path, open_levels)
        if isinstance(value, list):
            return self._members(list(enumerate(value)), path, open_levels)
        return self._plain(value)

    def _members(self, members: list[tuple[Any, Any]], path: tuple[str, ...], open_levels: int) -> str:
        if len(path) >= _DEPTH:
            return '<p class="quiet">… deeper than is shown</p>'
        rows = []
        for number, (key, value) in enumerate(members):
            if self._left <= 0:
                rows.append(f'<li class="quiet">… {len(members) - number:,} more</li>')
                break
            self._left -= 1
            self._page.nodes -= 1
            rows.append(self._member(str(key), value, (*path, str(key)), open_levels))
        return f"<ul>{''.join(rows)}</ul>"

    def _member(self, key: str, value: Any, path: tuple[str, ...], open_levels: int) -> str:
        at_fault = bool(self._marked) and path == self._marked
        on_the_way = bool(self._marked) and path == self._marked[: len(path)]
        name = f'<span class="key"><bdi>{_short(key)}</bdi></span>'
        if isinstance(value, dict | list) and value:
            one = "field" if isinstance(value, dict) else "member"
            words = f"{len(value):,} {one if len(value) == 1 else one + 's'}"
            is_open = " open" if open_levels > 1 or on_the_way else ""
            inner = self.show(value, path, open_levels - 1)
            shown = f'<details{is_open}><summary>{name} <span class="quiet">{words}</span></summary>{inner}</details>'
        else:
            shown = f"{name} {self._plain(value)}"
        return f'<li class="fault">{shown}</li>' if at_fault else f"<li>{shown}</li>"

    def _plain(self, value: Any) -> str:
        if isinstance(value, str):
            if is_web(value) and len(value) <= _BEGINNING:
                return f'<a href="{xhtml_escape(value)}" rel="noopener noreferrer nofollow"><bdi>{_short(value, 300)}</bdi></a>'
            return self._page.text(value) if value else '<span class="quiet">empty text</span>'
        words = (
            {None: "null", True: "true", False: "false"}.get(value)
            if value is None or isinstance(value, bool)
            else None
        )
        if isinstance(value, dict | list):
            words = "no fields" if isinstance(value, dict) else "no members"
        return f'<span class="literal">{xhtml_escape(words or safe(str(value)[:200]))}</span>'


def _short(text: str, limit: int = 200) -> str:
    return xhtml_escape(safe(text[:limit])) + ("…" if len(text) > limit else "")


def _lines(text: str) -> str:
    """Lines stay lines; whatever else a page would obey, or not show, is written out."""
    return "\n".join(xhtml_escape(safe(line.replace("\t", " "))) for line in text.split("\n"))
