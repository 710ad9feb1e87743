"""``GET /sources/NAME/documents``: the live documents of a source, one of them through the releases, its fields and their values."""

import asyncio
from typing import Annotated, Any

import msgspec

from crawlers.runtime.errors import FleetError, UsageError
from hub.api.documents import look_for
from hub.books import open_books
from hub.looks import take_look
from hub.views.documents import Operator, find_document
from hub.views.fields import count_values, overview
from hub.views.histories import follow_record
from hub.web.pages.look import LookPage

_OPEN = 3


class DocumentsPageQuery(msgspec.Struct, forbid_unknown_fields=True):
    """As the endpoint takes it; ``id``: one document; ``values``: count those of this field; ``fields``: which fields there are."""

    id: Annotated[str, msgspec.Meta(max_length=4_000)] = ""
    field: Annotated[str, msgspec.Meta(max_length=300)] = ""
    operator: Operator = "equals"
    value: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    after: Annotated[str, msgspec.Meta(max_length=4_000)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10
    sample: bool = False
    values: Annotated[str, msgspec.Meta(max_length=300)] = ""
    fields: bool = False


class DocumentsPage(LookPage):
    template = "documents.html"
    needs = "reader"

    async def get(self, name: str) -> None:
        query = self.read_parameters(DocumentsPageQuery)

        async def found() -> dict[str, Any]:
            live = await asyncio.to_thread(open_books().live.find, name)
            values = {"name": name, "query": query, "live": live, "fault": ""}
            try:
                return values | await take_look(self._look, name, query)
            except FleetError as error:  # a field that can't be, a query that takes too long: said beside the form
                self.set_status(404 if isinstance(error, UsageError) else 409)
                return values | _NOTHING | {"fault": str(error)}

        await self.answer(name, found)

    def _look(self, name: str, query: DocumentsPageQuery) -> dict[str, Any]:
        documents = open_books().documents(name)
        found = dict(_NOTHING)
        if query.id:
            found["steps"], found["older"] = follow_record(self.server.settings.archive_dir / name, query.id)
            try:
                found["listed"] = [find_document(documents, query.id)]
            except UsageError:
                if not any(step.became != "absent" for step in found["steps"]):
                    raise
                found["fault"] = f"{query.id[:200]}: no live document; below is what became of it"
        elif query.values:
            found["counted"] = count_values(documents, query.values)
        elif query.fields:
            found["overview"] = overview(documents)
        else:
            page = look_for(name, query)  # type: ignore[arg-type]
            found["listed"], found["next"] = page.documents, page.next
        return found


_NOTHING: dict[str, Any] = {
    "listed": [],
    "next": None,
    "steps": [],
    "older": False,
    "counted": None,
    "overview": None,
    "open": _OPEN,
}
