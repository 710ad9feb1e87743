"""How the sources stand, and what is asked of their crawlers.

No network leads from the hub to a crawler. An order (``crawl``, ``check``) lies on the shared volume until the crawler's container takes
it, within a minute. ``approve`` and ``discard`` are done at once, as ``fleet approve`` does them.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec

from crawlers.runtime import approval
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.orders import Command, Order, Pause, order, pause, resume, withdraw
from crawlers.runtime.release import Description, state_folder
from crawlers.runtime.standing import find_standing
from hub.api.actions import Action, ActionHandler, By, ByParameters, Reason
from hub.api.base import FleetHandler, SourceHandler
from hub.api.description import NoParameters, described


class Collected(msgspec.Struct):
    """``collected``: when the source was last seen whole, ISO 8601 in UTC; empty: never. ``records``: of the published release.

    ``license_url``: the terms under which its records may be used.
    """

    name: str
    title: str
    url: str
    collected: str
    records: int | None
    license_url: str


class SourceLook(msgspec.Struct):
    """``status``: as ``/fleet/status`` tells it; ``manifest``: as it was read."""

    status: dict[str, Any]
    manifest: Manifest


class OrderParameters(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason = ""
    by: By = ""


class WithdrawParameters(msgspec.Struct, forbid_unknown_fields=True):
    command: Annotated[Command, msgspec.Meta(description="What was ordered.")]
    by: By = ""


class PauseParameters(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="Why: others will ask.")]
    until: (
        Annotated[datetime, msgspec.Meta(tz=True, description="When it ends by itself; else `resume` does.")] | None
    ) = None
    by: By = ""


class LastCollectedHandler(FleetHandler):
    """``GET /fleet/last-collected``"""

    needs = None

    @described("When each source was last seen whole: for everybody.", answer=list[Collected])
    async def get(self) -> None:
        self.read_parameters(NoParameters)
        await self.respond(lambda: asyncio.to_thread(self._look))

    def _look(self) -> list[Collected]:
        runtime = self.server.settings.runtime
        manifests = [classes.source.manifest for classes in self.server.sources]
        found = [(find_standing(runtime, manifest), manifest.license_url) for manifest in manifests]
        return sorted(
            (Collected(it.name, it.title, it.url, it.collected, it.records, licence) for it, licence in found),
            key=lambda it: it.name,
        )


class OneSourceHandler(SourceHandler):
    """``GET /fleet/sources/NAME``"""

    needs = "visitor"

    @described("One source: how it stands, and its manifest.", answer=SourceLook)
    async def get(self, name: str) -> None:
        self.read_parameters(NoParameters)
        await self.answer(name, lambda: asyncio.to_thread(self._look, name))

    def _look(self, name: str) -> SourceLook:
        manifest = next(it.source.manifest for it in self.server.sources if it.source.name == name)
        return SourceLook(self.server.status_of(manifest), manifest)


class HeldHandler(ActionHandler):
    """What a person does with a release that is held."""

    async def settle(self, name: str, act: Callable[..., Description]) -> None:
        """Do it, and answer with the release that it was done to."""
        self.read_parameters(ByParameters)

        async def settled() -> dict[str, Any]:
            described = await asyncio.to_thread(act, self.server.settings.runtime.shared_dir, name)
            return {"release": described.release}

        await self.act(name, settled)


class ApproveHandler(HeldHandler):
    action = "approve"

    @described("Publish the release that the publish gate holds back.", parameters=ByParameters, answer=Action)
    async def post(self, name: str) -> None:
        await self.settle(name, approval.approve)


class DiscardHandler(HeldHandler):
    action = "discard"

    @described("Remove the release that is held; the published one stays.", parameters=ByParameters, answer=Action)
    async def post(self, name: str) -> None:
        await self.settle(name, approval.discard)


class OrderHandler(SourceHandler):
    """What the crawler's container is to do."""

    needs = "operator"

    async def order(self, name: str, command: Command) -> None:
        """Leave the order, and answer with it: the one that waits already, if there is one."""
        asked = self.read_parameters(OrderParameters)
        state_dir = state_folder(self.server.settings.runtime.shared_dir, name)
        await self.answer(name, lambda: asyncio.to_thread(order, state_dir, command, self.who, asked.reason))


class CrawlHandler(OrderHandler):
    @described(
        "Have the source crawled now: its container begins within a minute.", parameters=OrderParameters, answer=Order
    )
    async def post(self, name: str) -> None:
        await self.order(name, "crawl")


class CheckHandler(OrderHandler):
    @described(
        "Have the source's site checked: its container does, within a minute.", parameters=OrderParameters, answer=Order
    )
    async def post(self, name: str) -> None:
        await self.order(name, "check")


class WithdrawHandler(ActionHandler):
    action = "withdraw"

    @described(
        "Take back an order, as long as no container has begun with it.", parameters=WithdrawParameters, answer=Action
    )
    async def post(self, name: str) -> None:
        command = self.read_parameters(WithdrawParameters).command
        state_dir = state_folder(self.server.settings.runtime.shared_dir, name)

        async def withdrawn() -> dict[str, Any]:
            return {} if await asyncio.to_thread(withdraw, state_dir, command) else {"outcome": "nothing to do"}

        await self.act(name, withdrawn)


class PauseHandler(SourceHandler):
    needs = "operator"

    @described("Pause the source: it is crawled by order only.", parameters=PauseParameters, answer=Pause)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(PauseParameters)
        state_dir = state_folder(self.server.settings.runtime.shared_dir, name)
        await self.answer(name, lambda: asyncio.to_thread(pause, state_dir, self.who, asked.reason, asked.until))


class ResumeHandler(ActionHandler):
    action = "resume"

    @described("End the pause of the source.", parameters=ByParameters, answer=Action)
    async def post(self, name: str) -> None:
        self.read_parameters(ByParameters)
        state_dir = state_folder(self.server.settings.runtime.shared_dir, name)

        async def resumed() -> dict[str, Any]:
            return {} if await asyncio.to_thread(resume, state_dir) else {"outcome": "nothing to do"}

        await self.act(name, resumed)
