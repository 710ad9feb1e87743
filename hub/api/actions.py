"""What is done with one source: ``POST /fleet/sources/NAME/ACTION``.

The answer comes when it is done: ``{"source", "action", "outcome", "release", "reason"}``, where ``outcome`` is ``done``,
``nothing to do`` or ``failed`` (then with status 409 and the reason). It goes on when the client is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec

from crawlers.runtime.errors import FleetError, UsageError
from hub.api.base import SourceHandler
from hub.api.description import described

Reason = Annotated[str, msgspec.Meta(max_length=2_000, description="Why, for those who look at the status.")]
By = Annotated[
    str, msgspec.Meta(max_length=200, description="Who it is, where several share one login; else the login tells.")
]


class Action(msgspec.Struct, kw_only=True):
    """What came of it. Beside it, what the action tells: ``documents`` and ``rejects`` of an upload, ``removed`` releases."""

    source: str
    action: str
    outcome: Annotated[str, msgspec.Meta(description="`done`, `nothing to do` or `failed`")]
    release: str | None
    reason: str | None


class UploadParameters(msgspec.Struct, forbid_unknown_fields=True):
    force: Annotated[bool, msgspec.Meta(description="Load it again, also if it is live already.")] = False
    by: By = ""


class PinParameters(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason = ""
    by: By = ""


class RollbackParameters(msgspec.Struct, forbid_unknown_fields=True):
    release: Annotated[str, msgspec.Meta(max_length=64, description="An archived release.")]
    reason: Reason = ""
    by: By = ""


class CleanParameters(msgspec.Struct, forbid_unknown_fields=True):
    dry_run: Annotated[bool, msgspec.Meta(description="Only list what would be removed.")] = False
    by: By = ""


class MarkParameters(msgspec.Struct, forbid_unknown_fields=True):
    step: Annotated[Literal["dump", "upload"], msgspec.Meta(description="Whose failure counts as settled.")]
    by: By = ""


class ByParameters(msgspec.Struct, forbid_unknown_fields=True):
    by: By = ""


class ActionHandler(SourceHandler):
    """An action, which ``begin`` begins."""

    needs = "operator"
    action = ""

    async def act(self, name: str, begin: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Answer with what comes of it."""

        async def found() -> dict[str, Any]:
            answer = {"source": name, "action": self.action, "outcome": "done", "release": None, "reason": None}
            try:
                # Shielded: it goes on when the client is gone.
                return answer | await asyncio.shield(asyncio.ensure_future(begin()))
            except UsageError:
                raise
            except (FleetError, OSError) as error:
                self.set_status(409)
                return answer | {"outcome": "failed", "reason": str(error), "error": str(error)}

        await self.answer(name, found)


class DumpHandler(ActionHandler):
    action = "dump"

    @described("Take up what the source has published, and wait for it.", parameters=ByParameters, answer=Action)
    async def post(self, name: str) -> None:
        self.read_parameters(ByParameters)
        await self.act(name, lambda: self.server.intake.start("dump", name, self.who))


class UploadHandler(ActionHandler):
    action = "upload"

    @described(
        "Load the archived release into the database, and wait for it.", parameters=UploadParameters, answer=Action
    )
    async def post(self, name: str) -> None:
        options = {"force": True} if self.read_parameters(UploadParameters).force else {}
        await self.act(name, lambda: self.server.intake.start("upload", name, self.who, **options))


class RollbackHandler(ActionHandler):
    action = "rollback"

    @described("Pin an archived release, and make it live.", parameters=RollbackParameters, answer=Action)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(RollbackParameters)
        await self.act(name, lambda: self.server.keeper.rollback(name, asked.release, self.who, asked.reason))


class PinHandler(ActionHandler):
    action = "pin"

    @described("Pin what is live: newer releases are archived, but wait.", parameters=PinParameters, answer=Action)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(PinParameters)
        await self.act(name, lambda: self.server.keeper.pin(name, self.who, asked.reason))


class UnpinHandler(ActionHandler):
    action = "unpin"

    @described("Take the pin back, and make the newest archived release live.", parameters=ByParameters, answer=Action)
    async def post(self, name: str) -> None:
        self.read_parameters(ByParameters)
        await self.act(name, lambda: self.server.keeper.unpin(name))


class CleanHandler(ActionHandler):
    action = "clean"

    @described("Remove the archived releases that the manifest lets go.", parameters=CleanParameters, answer=Action)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(CleanParameters)
        await self.act(name, lambda: self.server.keeper.clean(name, dry_run=asked.dry_run))


class MarkHandler(ActionHandler):
    action = "mark"

    @described("Have a failed dump or upload count as settled.", parameters=MarkParameters, answer=Action)
    async def post(self, name: str) -> None:
        asked = self.read_parameters(MarkParameters)
        await self.act(name, lambda: self.server.keeper.mark_success(name, asked.step))
