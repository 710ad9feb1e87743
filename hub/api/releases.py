"""The hub's endpoints that tell of a source's releases.

``GET /fleet/sources/NAME/releases`` lists those that are archived, the newest first (see ``hub.releases.list_releases``).
``GET /fleet/sources/NAME/diff?from=…&to=…&examples=N`` tells what changed from one to another, as ``fleet diff --json`` does:
``from`` and ``to`` are release strings or ``published``, ``archived``, ``live``, ``held``; without them, the two newest archived.
"""

from typing import Annotated, Any

import msgspec

from hub.api.base import SourceHandler
from hub.api.description import described

MAX_EXAMPLES = 1_000
_Side = Annotated[
    str,
    msgspec.Meta(max_length=64, description="A release, or `published`, `archived`, `live` or `held`."),
]


class DiffParameters(msgspec.Struct, forbid_unknown_fields=True):
    from_: _Side = msgspec.field(default="", name="from")
    to: _Side = ""
    examples: Annotated[int, msgspec.Meta(ge=0, le=MAX_EXAMPLES, description="Records of each kind to show.")] = 0


class ReleasesHandler(SourceHandler):
    """``GET /fleet/sources/NAME/releases``"""

    needs = "visitor"

    @described("The archived releases, the newest first.", answer=list[dict[str, Any]])
    async def get(self, name: str) -> None:
        await self.answer(name, lambda: self.server.keeper.list_releases(name))


class DiffHandler(SourceHandler):
    """``GET /fleet/sources/NAME/diff``"""

    needs = "visitor"

    @described("What changed from one release to another; without names, of the two newest.", parameters=DiffParameters)
    async def get(self, name: str) -> None:
        asked = self.read_parameters(DiffParameters)
        words = tuple(filter(None, (asked.from_, asked.to)))
        await self.answer(name, lambda: self.server.keeper.diff(name, words, asked.examples, self.who))
