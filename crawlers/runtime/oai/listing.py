"""One list of records, page by page, into a window's file: every page checked, the list's end believed only where it adds up."""

from crawlers.runtime import http
from crawlers.runtime.oai.answer import BAD_TOKEN, NO_RECORDS, Answer, Token
from crawlers.runtime.oai.endpoint import AskError, Reply
from crawlers.runtime.oai.list_checks import LOOP, RECORD_TRIES, SKIP, ListChecks, ListFailed, TooMany
from crawlers.runtime.oai.windows import DONE, WindowWriter

_EMPTY_PAGES = 100
# So many records that can't be had one after the other are more than a bad one.
RECORD_FAILURES_MAX = 20


class Listing(ListChecks):
    """Lists one window into ``writer``."""

    def run(
        self,
        writer: WindowWriter,
        tries: int = http.RETRIES + 1,
        limit: int | None = None,
        cap: int | None = None,
        *,
        whole: bool = False,
    ) -> None:
        """Walk through the list to its end.

        :param limit: of records that the server may announce; ``cap``: of records that it may give without having announced any.
        :param whole: the window can't be cut into smaller ones: a page that fails is passed over, and its records asked for one by one.
        :raises ListFailed: the end was not reached, or can't be believed. What came is in ``writer`` and in ``seen``.
        :raises TooMany: nothing is wrong, but the window should be a smaller one.
        """
        seen, arguments, token_text, empty = self.seen, self.arguments(), "", 0
        while True:
            try:
                reply = self._endpoint.list_records(arguments, tries)
            except AskError as error:
                if error.status >= 400 and self._endpoint.try_tokens_as_written(token_text):
                    continue
                if error.token is not None and error.token.text and error.token.text != token_text:
                    self._endpoint.count("token_by_looks")
                    seen.holes = True
                    token: Token | None = error.token
                elif (whole or seen.is_instant()) and (listed := self._pass_over(writer, arguments, error)):
                    token = listed.token
                else:
                    raise ListFailed(error.kind, str(error), error.status) from error
            else:
                if reply.answer.error == BAD_TOKEN and self._endpoint.try_tokens_as_written(token_text):
                    continue
                if self._ends_here(reply):
                    break
                token = reply.answer.token
                before = seen.records
                self._take(writer, reply, token)
                empty = empty + 1 if seen.records == before else 0
            if token is None or not token.text:
                break
            if not self._endpoint.ignores_dates:
                if seen.pages == 1 and seen.size is not None and limit is not None and seen.size > limit:
                    raise TooMany(seen.size, seen.records, self._dates())
                if seen.size is None and cap is not None and seen.records > cap:
                    raise TooMany(None, seen.records // seen.pages, self._dates() if seen.pages == 1 else None)
            if empty > _EMPTY_PAGES or (token.text == token_text and empty):
                raise ListFailed(LOOP, f"the list goes on without a record, by token {token.text[:200]!r}")
            if self._endpoint.tokens_skip and not seen.holes:
                raise ListFailed(SKIP, "the server's tokens skip records: the list is asked for by date")
            token_text, arguments = token.text, {"resumptionToken": token.text}
        self._check_end(writer)

    def _take(self, writer: WindowWriter, reply: Reply, token: Token | None) -> None:
        seen, answer = self.seen, reply.answer
        records = answer.records()
        if records:
            key = hash(tuple(record.identifier for record in records))
            if key in seen.page_keys:
                raise ListFailed(LOOP, f"a page came a second time, by {reply.frame.url}")
            seen.page_keys.add(key)
        if token is not None and token.cursor is not None and not seen.holes:
            self._check_cursor(writer, token.cursor, records)
        if seen.pages == 0 and token is not None:
            seen.size = token.size
        self._check_range(records, reply)
        writer.add(reply.frame, reply.body, answer)
        writer.state = DONE
        self._check_dates(records)
        self._endpoint.proved = True
        seen.add_page(records)
        self._on_page(len(records))
        for broken in answer.broken:
            if not broken.identifier:
                raise ListFailed("xml", f"{reply.frame.url}: a record can't be read: {broken.reason}")
            seen.records += 1
            self.fetch(writer, broken.identifier, broken.reason)

    def fetch(self, writer: WindowWriter, identifier: str, reason: str) -> bool:
        """Ask for one record that the list did not give; where that fails, too, it is missing. Returns whether it came."""
        self._endpoint.count("fetched")
        try:
            reply = self._endpoint.get_record(identifier, self._plan.prefix, RECORD_TRIES)
        except AskError as error:
            self.seen.missing[identifier] = f"{reason}; GetRecord: {error.message}"
            return False
        answer = reply.answer
        if answer.broken or not answer.elements:
            told = answer.broken[0].reason if answer.broken else answer.describe_errors() or "no record"
            self.seen.missing[identifier] = f"{reason}; GetRecord: {told}"
            return False
        writer.add(reply.frame, reply.body, answer)
        writer.state = DONE
        return True

    def _pass_over(self, writer: WindowWriter, arguments: dict[str, str], error: AskError) -> Answer | None:
        """Ask for the records of a page that fails one by one. ListIdentifiers names them, to the same dates or token, and gives the
        token of the next page: so what an instant costs is what is on its page, and not all that is in it. None: it doesn't.

        :raises ListFailed: too many of them can't be had, either.
        """
        try:
            reply = self._endpoint.list_identifiers(arguments, 1)
        except AskError:
            return None
        records = reply.answer.records()
        known = writer.identifiers() if records else set()
        if not records or reply.answer.broken or any(record.identifier in known for record in records):
            return None
        self._endpoint.count("passed_over")
        writer.add(reply.frame, reply.body, reply.answer)
        self.seen.add_page(records)
        self._on_page(len(records))
        failed = 0
        for record in records:
            if record.deleted:
                writer.state = DONE
                continue
            failed = 0 if self.fetch(writer, record.identifier, str(error)) else failed + 1
            if failed > RECORD_FAILURES_MAX:
                raise ListFailed(error.kind, str(error), error.status) from error
        return reply.answer

    def _ends_here(self, reply: Reply) -> bool:
        """Whether the answer says that there is nothing, or nothing more."""
        error = reply.answer.error
        if not error and reply.answer.verb != "ListRecords":
            got = f"an answer to {reply.answer.verb}" if reply.answer.verb else "neither records nor an error"
            raise ListFailed("parse", f"{reply.frame.url}: {got}")
        if error == NO_RECORDS:
            self._endpoint.proved = True
            return True
        if error:
            kind = BAD_TOKEN if error == BAD_TOKEN else error
            raise ListFailed(kind, f"{reply.frame.url}: {reply.answer.describe_errors()}", reply.frame.status)
        return False
