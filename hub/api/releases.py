"""The hub's endpoints that tell of a source's releases.

``GET /fleet/sources/NAME/releases`` lists those that are archived, the newest first (see ``hub.releases.list_releases``).
``GET /fleet/sources/NAME/diff?from=…&to=…&examples=N`` tells what changed from one to another, as ``fleet diff --json`` does:
``from`` and ``to`` are release strings or ``published``, ``archived``, ``live``, ``held``; without them, the two newest archived.
"""

from crawlers.runtime.errors import UsageError
from hub.api.handlers import SourceHandler

MAX_EXAMPLES = 1_000


class ReleasesHandler(SourceHandler):
    """``GET /fleet/sources/NAME/releases``"""

    async def get(self, name: str) -> None:
        await self.answer(name, lambda: self.server.keeper.list_releases(name))


class DiffHandler(SourceHandler):
    """``GET /fleet/sources/NAME/diff``"""

    async def get(self, name: str) -> None:
        words = tuple(filter(None, (self.get_query_argument(side, "") for side in ("from", "to"))))
        examples = self.get_query_argument("examples", "0")

        async def diff() -> dict:
            if not (examples.isascii() and examples.isdigit() and int(examples) <= MAX_EXAMPLES):
                raise UsageError(f"examples is {examples!r}: a whole number up to {MAX_EXAMPLES} is expected")
            return await self.server.keeper.diff(name, words, int(examples))

        await self.answer(name, diff)
