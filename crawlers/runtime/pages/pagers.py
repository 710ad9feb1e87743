"""How a page goes on: the URLs of the pages after it."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from crawlers.runtime.errors import PageError
from crawlers.runtime.pages.definition import (
    AnyPager,
    CursorPager,
    ListPager,
    NextPager,
    NumbersPager,
    OffsetPager,
    Selection,
)
from crawlers.runtime.pages.selecting import Scope, Selector


class Turn(NamedTuple):
    """Which page of a pager's a page is. ``first``: the URL of the first one; ``number``: from 0.

    ``planned``: it was asked for because it is known to exist.
    """

    first: str
    number: int = 0
    planned: bool = False


class Step(NamedTuple):
    """A further page: its URL and its turn."""

    url: str
    turn: Turn


class PagerReader:
    """A pager, compiled."""

    def __init__(self, pager: AnyPager) -> None:
        self.pager = pager
        self._link = Selector(pager.link, of_link=True) if isinstance(pager, NextPager) else None
        self._cursor = Selector(pager.cursor) if isinstance(pager, CursorPager) else None
        end = pager.stop if isinstance(pager, NumbersPager) else getattr(pager, "total", None)
        self._end = Selector(end) if isinstance(end, Selection) else None
        self._known_end = end if isinstance(end, int) else None

    @property
    def ends_when_empty(self) -> bool:
        """Whether an empty page, or one that repeats an earlier one, is how it ends."""
        return isinstance(self.pager, NumbersPager | OffsetPager) and self._end is None and self._known_end is None

    def first_urls(self) -> list[str]:
        """The first URLs, where nothing but the pager says how the page is reached."""
        if isinstance(self.pager, ListPager):
            return [self._fill(value) for value in self.pager.values]
        assert isinstance(self.pager, NumbersPager | OffsetPager)
        return [self._fill(self.pager.start)]

    def after(self, scope: Scope, turn: Turn) -> Iterator[Step]:
        """The pages that come after the page in ``scope``.

        :raises PageError: where the pages end, or go on, can't be told.
        """
        if turn.planned:
            return
        pager = self.pager
        if self._link or self._cursor:
            try:
                values = (self._link or self._cursor).values(scope)  # type: ignore[union-attr]
            except ValueError as error:
                raise PageError(scope.url, f"the pager can't read how it goes on: {error}", "pager") from error
            for value in values[:1]:
                url = str(value) if self._link else self._fill(value)
                yield Step(scope.response.urljoin(url), Turn(turn.first, turn.number + 1))
            return
        if isinstance(pager, ListPager):
            values = pager.values
        elif isinstance(pager, NumbersPager):
            values = self._numbers(scope, turn, pager.start, pager.step, past_end=1)
        elif isinstance(pager, OffsetPager):
            values = self._numbers(scope, turn, pager.start, pager.limit, past_end=pager.start)
        planned = not self.ends_when_empty
        for number, value in enumerate(values, start=turn.number + 1):
            yield Step(scope.response.urljoin(self._fill(value)), Turn(turn.first, number, planned))

    def _numbers(self, scope: Scope, turn: Turn, start: int, step: int, past_end: int) -> Any:
        if self.ends_when_empty:
            return [start + (turn.number + 1) * step]
        end = self._known_end if self._known_end is not None else self._read_end(scope)
        return range(start + step, end + past_end, step)

    def _read_end(self, scope: Scope) -> int:
        assert self._end is not None
        try:
            value = self._end.first(scope)
            return int(str(value).replace(",", ""))
        except ValueError as error:
            raise PageError(scope.url, f"does not say how many there are: {error}", "pager") from error

    def _fill(self, value: Any) -> str:
        """The URL with the value in the place that is for it."""
        url: str = self.pager.url  # type: ignore[union-attr]  # a pager by links has no template
        for name in ("page", "offset", "cursor"):
            url = url.replace(f"{{{name}}}", quote(str(value), safe=""))
        return url.replace("{limit}", str(getattr(self.pager, "limit", "")))
