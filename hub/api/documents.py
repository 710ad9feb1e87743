"""The endpoints that show live documents of a source, and what became of one record from release to release."""

from typing import Annotated, Any

import msgspec

from hub.api.base import SourceHandler
from hub.api.description import described
from hub.books import open_books
from hub.looks import take_look
from hub.views.documents import MAX_DOCUMENTS, Operator, find_document, find_documents, sample_documents
from hub.views.fields import Overview, Values, count_values, overview
from hub.views.histories import Step, follow_record


class DocumentsQuery(msgspec.Struct, forbid_unknown_fields=True):
    field: Annotated[str, msgspec.Meta(max_length=300, description="A field, or a path as `author.name`.")] = ""
    operator: Annotated[Operator, msgspec.Meta(description="What holds for the field.")] = "equals"
    value: Annotated[str, msgspec.Meta(max_length=2_000, description="Compared as text, and as the number, true, false or null that it reads as.")] = ""  # fmt: skip
    after: Annotated[str, msgspec.Meta(max_length=2_000, description="Those after this `_id`: the next page.")] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_DOCUMENTS)] = 10
    sample: Annotated[bool, msgspec.Meta(description="Some at random, whatever else is asked for.")] = False


class ValuesQuery(msgspec.Struct, forbid_unknown_fields=True):
    top: Annotated[int, msgspec.Meta(ge=1, le=1_000, description="So many values, the most frequent.")] = 50


class Documents(msgspec.Struct, kw_only=True):
    """``next``: the ``after`` of the next page; null where there is none."""

    source: str
    documents: list[dict[str, Any]]
    next: str | None


class RecordHistory(msgspec.Struct, kw_only=True):
    """What each archived release did to the record, the earliest first; ``older``: there are releases that were not looked at."""

    source: str
    id: str
    steps: list[Step]
    older: bool


class DocumentsHandler(SourceHandler):
    """``GET /fleet/sources/NAME/documents``"""

    needs = "reader"

    @described("Live documents: by a field's value, in the order of their `_id`, or at random.", parameters=DocumentsQuery, answer=Documents)  # fmt: skip
    async def get(self, name: str) -> None:
        query = self.read_parameters(DocumentsQuery)

        async def found() -> Documents:
            return await take_look(look_for, name, query)

        await self.answer(name, found)


class DocumentHandler(SourceHandler):
    """``GET /fleet/sources/NAME/documents/ID``"""

    needs = "reader"

    @described("The live document of that `_id`.")
    async def get(self, name: str, id: str) -> None:
        async def found() -> dict[str, Any]:
            return await take_look(find_document, open_books().documents(name), id)

        await self.answer(name, found)


class RecordHistoryHandler(SourceHandler):
    """``GET /fleet/sources/NAME/documents/ID/history``"""

    needs = "reader"

    @described("What each archived release did to the record of that `_id`.", answer=RecordHistory)
    async def get(self, name: str, id: str) -> None:
        async def found() -> RecordHistory:
            steps, older = await take_look(follow_record, self.server.settings.archive_dir / name, id)
            return RecordHistory(source=name, id=id, steps=steps, older=older)

        await self.answer(name, found)


class FieldsHandler(SourceHandler):
    """``GET /fleet/sources/NAME/fields``"""

    needs = "reader"

    @described("Which fields the live documents have, and of which types, by a sample.", answer=Overview)
    async def get(self, name: str) -> None:
        await self.answer(name, lambda: take_look(overview, open_books().documents(name)))


class FieldValuesHandler(SourceHandler):
    """``GET /fleet/sources/NAME/fields/FIELD``"""

    needs = "reader"

    @described("How often a field has each value.", parameters=ValuesQuery, answer=Values)
    async def get(self, name: str, field: str) -> None:
        top = self.read_parameters(ValuesQuery).top
        await self.answer(name, lambda: take_look(count_values, open_books().documents(name), field, top))


def look_for(name: str, query: DocumentsQuery) -> Documents:
    """The live documents that are asked for."""
    documents = open_books().documents(name)
    if query.sample:
        return Documents(source=name, documents=sample_documents(documents, query.limit), next=None)
    found = find_documents(documents, query.field, query.operator, query.value, query.after, query.limit)
    last = found.documents[-1]["_id"] if found.more and found.documents else None
    return Documents(source=name, documents=found.documents, next=last)
