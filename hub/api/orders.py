"""What is asked of a source's crawler, and what a person says of what it made: ``POST /fleet/sources/NAME/ACTION``, as in ``actions``.

The hub reaches no crawler: orders and pauses are files on the shared volume, which the crawler's container looks at each minute.
"""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from crawlers.runtime import approval, orders
from crawlers.runtime.errors import UsageError
from crawlers.runtime.orders import Command
from crawlers.runtime.release import state_folder
from hub.api.actions import Action, ActionHandler, By, ByParameters, Reason
from hub.api.description import described


class OrderParameters(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason = ""
    by: By = ""


class PauseParameters(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[Reason, msgspec.Meta(min_length=1)]
    until: Annotated[
        str,
        msgspec.Meta(max_length=40, description="When it ends by itself: ISO 8601, UTC unless it says; else never."),
    ] = ""
    by: By = ""


class MarkParameters(msgspec.Struct, forbid_unknown_fields=True):
    step: Annotated[Literal["dump", "upload"], msgspec.Meta(description="Whose failure is settled.")]
    by: By = ""


class OrderHandler(ActionHandler):
    """An order to the source's container."""

    async def order(self, name: str, command: Command) -> None:
        asked = self.read_parameters(OrderParameters)

        async def begin() -> dict[str, Any]:
            folder = state_folder(self.server.settings.runtime.shared_dir, name)
            made = await asyncio.to_thread(orders.order, folder, command, self.who, asked.reason)
            return {"ordered_at": made.at, "by": made.by}

        await self.act(name, begin)


class CrawlHandler(OrderHandler):
    action = "crawl"

    @described("Have the crawler's container crawl, within a minute.", parameters=OrderParameters, answer=Action)
    async def post(self, name: str) -> None:
        await self.order(name, "crawl")


class CheckHandler(OrderHandler):
    action = "check"

    @described("Have it visit records, to find those that are gone.", parameters=OrderParameters, answer=Action)
    async def post(self, name: str) -> None:
        manifest = self.server.find_manifest(name)
        if manifest and manifest.check is None:
            self.refuse(400, f"{name} can't be checked: its manifest has no table [check]")
        await self.order(name, "check")


class PauseHandler(ActionHandler):
    action = "pause"

    @described("Have it crawl no more by its schedule.", parameters=PauseParameters, answer=Action)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(PauseParameters)

        async def begin() -> dict[str, Any]:
            folder = state_folder(self.server.settings.runtime.shared_dir, name)
            made = await asyncio.to_thread(orders.pause, folder, self.who, asked.reason, _moment(asked.until))
            return {"until": made.until}

        await self.act(name, begin)


class ResumeHandler(ActionHandler):
    action = "resume"

    @described("End the pause.", parameters=ByParameters, answer=Action)
    async def post(self, name: str) -> None:
        self.read_parameters(ByParameters)

        async def begin() -> dict[str, Any]:
            folder = state_folder(self.server.settings.runtime.shared_dir, name)
            return {} if await asyncio.to_thread(orders.resume, folder) else {"outcome": "nothing to do"}

        await self.act(name, begin)


class ApproveHandler(ActionHandler):
    action = "approve"

    @described("Publish the release that is held, as it is.", parameters=ByParameters, answer=Action)
    async def post(self, name: str) -> None:
        self.read_parameters(ByParameters)

        async def begin() -> dict[str, Any]:
            made = await asyncio.to_thread(approval.approve, self.server.settings.runtime.shared_dir, name)
            return {"release": made.release, "records": made.records}

        await self.act(name, begin)


class DiscardHandler(ActionHandler):
    action = "discard"

    @described("Remove the release that is held; what was published stays.", parameters=ByParameters, answer=Action)
    async def post(self, name: str) -> None:
        self.read_parameters(ByParameters)

        async def begin() -> dict[str, Any]:
            made = await asyncio.to_thread(approval.discard, self.server.settings.runtime.shared_dir, name)
            return {"release": made.release, "records": made.records}

        await self.act(name, begin)


class MarkHandler(ActionHandler):
    action = "mark"

    @described("Settle a failed dump or upload: its error is seen to.", parameters=MarkParameters, answer=Action)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(MarkParameters)
        await self.act(name, lambda: self.server.keeper.mark_success(name, asked.step))


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"until is {text!r}: a date and time is expected, e.g. 2026-11-22T01:02:03Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
