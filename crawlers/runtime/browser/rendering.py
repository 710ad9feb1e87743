"""What is asked of the browser for a page: which selector to wait for, and which steps to take, before the page is read."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from scrapy import Request

_Css = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done in a rendered page: click on ``click`` (a CSS selector), then wait for ``wait_for`` (another); either may be left out.

    ``times``: click again and again, until there is no such element to be seen: a "load more" button. Each click must bring
    more elements (of ``wait_for``, or any). An element that is still there after so many clicks is an error.
    ``optional``: if nothing is there to be clicked at this moment, the step is passed over: a cookie banner.
    """

    click: _Css | None = None
    wait_for: _Css | None = None
    times: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    optional: bool = False


class Rendering(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a page is rendered. ``wait_for``: the CSS selector of what shows that it is ready; then ``steps``, in order."""

    wait_for: _Css | None = None
    steps: list[Step] = msgspec.field(default_factory=list)


class BrowserRequest(Request):
    """A request that is answered by the page as Chromium renders it.

    :param wait_for: CSS selector of what shows that the page is ready.
    :param steps: what to do then: tables of ``Step``, e.g. ``[{"click": "button.more", "times": 50, "wait_for": "article"}]``.
    """

    def __init__(self, *args: Any, wait_for: str | None = None, steps: Any = (), **options: Any) -> None:
        super().__init__(*args, **options)
        if wait_for or steps or rendering_of(self) is None:
            self.meta["rendering"] = msgspec.convert({"wait_for": wait_for, "steps": list(steps)}, Rendering)


def rendering_of(request: Request) -> Rendering | None:
    """How ``request`` wants its page rendered; None: not at all.

    ``meta["rendering"]`` says how, as ``Rendering`` or as a table of its fields; ``meta["browser"]`` says that, at least.
    """
    wanted = request.meta.get("rendering")
    if isinstance(wanted, Rendering):
        return wanted
    if isinstance(wanted, Mapping):
        return msgspec.convert(dict(wanted), Rendering)
    if wanted is not None:  # a page definition's
        return msgspec.convert(msgspec.to_builtins(wanted), Rendering)
    return Rendering() if request.meta.get("browser") else None
