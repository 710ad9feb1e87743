"""The endpoints of one release: what it counts, its files, and what did not make it into it."""

import asyncio
import os
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from tornado.iostream import StreamClosedError

from hub.api.base import SourceHandler
from hub.api.description import described
from hub.books import open_books
from hub.looks import take_look
from hub.views.rejects import MAX_REJECTS, Of, RejectGroups, RejectLook, group_rejects, list_rejects
from hub.views.releases import ReleaseLook, find_download, look_at_release

_CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?", re.ASCII)


class GroupsQuery(msgspec.Struct, forbid_unknown_fields=True):
    of: Annotated[Of, msgspec.Meta(description="Rejects of the crawl, or of its upload.")] = "crawl"
    examples: Annotated[int, msgspec.Meta(ge=0, le=20)] = 1


class RejectsQuery(msgspec.Struct, forbid_unknown_fields=True):
    of: Annotated[Of, msgspec.Meta(description="Rejects of the crawl, or of its upload.")] = "crawl"
    kind: Annotated[str, msgspec.Meta(max_length=100, description="Of this error class.")] = ""
    reason: Annotated[str, msgspec.Meta(max_length=400, description="Of the group with this reason.")] = ""
    field: Annotated[str, msgspec.Meta(max_length=300, description="With the fault there, or below.")] = ""
    text: Annotated[str, msgspec.Meta(max_length=300, description="With this text in the reason.")] = ""
    skip: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_REJECTS)] = 10


class ReleaseHandler(SourceHandler):
    """``GET /fleet/sources/NAME/releases/RELEASE``"""

    needs = "visitor"

    @described("One release, by its string or as `published`, `held`, `archived` or `live`: counts, coverage, changes, files.", answer=ReleaseLook)  # fmt: skip
    async def get(self, name: str, release: str) -> None:
        async def found() -> ReleaseLook:
            return await asyncio.to_thread(look_at_release, self.server.settings, name, release, await find_live(name))

        await self.answer(name, found)


class RejectGroupsHandler(SourceHandler):
    """``GET /fleet/sources/NAME/releases/RELEASE/rejects``"""

    needs = "reader"

    @described("What did not make it into the release, alike rejects together; `unpublished` is the last run that published nothing.", parameters=GroupsQuery, answer=RejectGroups)  # fmt: skip
    async def get(self, name: str, release: str) -> None:
        query = self.read_parameters(GroupsQuery)

        async def found() -> RejectGroups:
            live = await find_live(name)
            return await take_look(group_rejects, self.server.settings, name, release, query.of, live, query.examples)

        await self.answer(name, found)


class RejectsHandler(SourceHandler):
    """``GET /fleet/sources/NAME/releases/RELEASE/rejects/records``"""

    needs = "reader"

    @described("Rejects of the release, whole, each with the place of its fault.", parameters=RejectsQuery, answer=list[RejectLook])  # fmt: skip
    async def get(self, name: str, release: str) -> None:
        asked = msgspec.structs.asdict(self.read_parameters(RejectsQuery))
        of = asked.pop("of")

        async def found() -> list[RejectLook]:
            live = await find_live(name)
            return await take_look(lambda: list_rejects(self.server.settings, name, release, of, live, **asked))

        await self.answer(name, found)


class DownloadHandler(SourceHandler):
    """``GET /fleet/sources/NAME/releases/RELEASE/files/FILE``, whole or in ranges (RFC 9110, section 14)."""

    needs = "reader"

    @described("A file of the release: `data.ndjson`, `rejects.ndjson`, `release.json` or `upload-rejects.ndjson`.", content="application/x-ndjson")  # fmt: skip
    async def get(self, name: str, release: str, file: str) -> None:
        async def locate() -> tuple[str, Path]:
            live = await find_live(name)
            return await asyncio.to_thread(find_download, self.server.settings, name, release, file, live)

        await self.answer(name, locate)
        if self._located:
            text, path = self._located
            await self._send(path, f"{name}-{re.sub('[^0-9A-Za-z.+-]', '', text)}-{file}")

    _located: tuple[str, Path] | None = None

    def answer_json(self, found: Any) -> None:
        self._located = found  # what is found is sent, not told

    async def _send(self, path: Path, called: str) -> None:
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            start, end = self._wanted(status.st_size)
            media = "application/json" if path.suffix == ".json" else "application/x-ndjson"
            self.set_header("Content-Type", f"{media}; charset=utf-8")
            self.set_header("Content-Disposition", f'attachment; filename="{called}"')
            self.set_header("Accept-Ranges", "bytes")
            self.set_header("Content-Length", str(end - start))
            self.set_header("ETag", f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"')
            while start < end:
                chunk = await asyncio.to_thread(os.pread, descriptor, min(_CHUNK_BYTES, end - start), start)
                if not chunk:
                    break
                start += len(chunk)
                self.write(chunk)
                await self.flush()
            self.finish()
        except StreamClosedError:  # whoever asked is gone
            return
        finally:
            os.close(descriptor)

    def _wanted(self, size: int) -> tuple[int, int]:
        """From which byte to which, that one excluded; answers 416 where the range is not one of the file."""
        asked = _RANGE.fullmatch(self.request.headers.get("Range", ""))
        if asked is None or (asked[1] is None and asked[2] is None):
            return 0, size
        start = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
        end = min(size, int(asked[2]) + 1) if asked[1] and asked[2] else size
        if start >= end:
            self.set_header("Content-Range", f"bytes */{size}")
            self.refuse(416, f"the file has {size} bytes")
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        return start, end


async def find_live(name: str) -> str | None:
    """The release of the source that is live; None where none is."""
    live = await asyncio.to_thread(open_books().live.find, name)
    return live.release if live else None
