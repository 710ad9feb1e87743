"""What the pages that show a thing of one source have in common."""

from typing import Any
from urllib.parse import quote

from hub.api.base import SourceHandler
from hub.web.folding import Folder, contrast, long_text
from hub.web.formats import span
from hub.web.pages.page import PageHandler
from hub.web.pictures import bar


class LookPage(PageHandler, SourceHandler):
    """``answer`` is given a function that finds the values of ``template``; where there is no such thing, a page says so."""

    template = ""

    def answer_json(self, found: Any) -> None:
        self.render_page(self.template, **_SCOPE, fold=Folder().fold, **found)

    def may(self, role: Any) -> bool:
        """Whether whoever looks has that role."""
        return bool(self.current_user and self.current_user.can(role))


def _part(text: str) -> str:
    """``text`` as one part of a path."""
    return quote(text, safe="")


def _seconds(took: float | None) -> str:
    """``0.4 s``, or ``2 min 5 s``; a dash for None."""
    return f"{took:.1f} s" if took is not None and took < 10 else span(took)


_SCOPE = {"long_text": long_text, "contrast": contrast, "bar": bar, "part": _part, "seconds": _seconds}
