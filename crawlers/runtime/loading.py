"""The code of a source, loaded from its folder by file path: the sources may lie anywhere (``FLEET_SOURCES_DIR``).

``spider.py`` (kinds scrapy, jsonld and browser) holds one spider class, ``harvester.py`` (kind api) a function ``parse(api)``, and
``pages.toml`` (kind pages, or browser) no code at all but the description of a site;
``site.py``, where there is one, serves the source's own site: ``serve()`` is a context manager that gives its base URL.
"""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from crawlers.runtime.errors import UsageError
from crawlers.runtime.manifest import Source
from crawlers.runtime.pages.definition import DEFINITION

if TYPE_CHECKING:
    import scrapy

SPIDER = "spider.py"
HARVESTER = "harvester.py"
SITE = "site.py"
CODE_FILES = {"scrapy": SPIDER, "jsonld": SPIDER, "api": HARVESTER, "pages": DEFINITION, "browser": SPIDER}


class SourceCodeError(UsageError):
    """A source's code can't be used. ``path`` and ``line`` (1-based) say where."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path = path
        self.line = line


def load_spider(source: Source) -> "type[scrapy.Spider]":
    """The spider class that the source's ``spider.py`` defines, or that crawls by its ``pages.toml``.

    :raises SourceCodeError: the file is missing or broken, defines no spider or several, or one of another name.
    """
    import scrapy  # not at the top: it takes a while, and sources of the kind api do without

    if source.manifest.kind == "pages" or (source.folder / DEFINITION).is_file():
        from crawlers.runtime.pages.reading import read_definition
        from crawlers.runtime.pages.spider import make_spider

        return make_spider(source.name, read_definition(source.folder))
    path = source.folder / SPIDER
    module = _load(source, path)
    spiders = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, scrapy.Spider) and value.__module__ == module.__name__
    ]
    if len(spiders) != 1:
        found = ", ".join(spider.__name__ for spider in spiders) or "none"
        raise SourceCodeError(path, 1, f"one subclass of scrapy.Spider is expected, found: {found}")
    [spider] = spiders
    if getattr(spider, "name", None) != source.name:
        raise SourceCodeError(
            path,
            _line_of_class(path, spider.__name__),
            f"{spider.__name__}.name is {getattr(spider, 'name', None)!r}, "
            f"expected is the source's: name = {source.name!r}",
        )
    return spider


def load_parse(source: Source) -> Callable[[Any], Iterator[dict]]:
    """The function ``parse(api)`` of the source's ``harvester.py``: given an ``ApiClient``, it yields records.

    :raises SourceCodeError: the file is missing or broken, or has no such function.
    """
    path = source.folder / HARVESTER
    parse = getattr(_load(source, path), "parse", None)
    if not callable(parse):
        raise SourceCodeError(path, 1, "no function parse; expected is `def parse(api: ApiClient) -> Iterator[dict]`")
    return parse


def load_site(source: Source) -> Callable[[], AbstractContextManager[str]] | None:
    """The function ``serve()`` of the source's ``site.py``; None where the source brings no site of its own.

    :raises SourceCodeError: the file is broken, or has no such function.
    """
    path = source.folder / SITE
    if not path.is_file():
        return None
    serve = getattr(_load(source, path), "serve", None)
    if not callable(serve):
        raise SourceCodeError(
            path, 1, "no function serve; expected is `def serve() -> AbstractContextManager[str]`, giving the base URL"
        )
    return serve


def _load(source: Source, path: Path) -> ModuleType:
    """Run the file as a module. Nothing is cached: a corrected file counts at once, no __pycache__ is left there."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SourceCodeError(
            path, 1, f"can't be read: {error.strerror}. A source of kind {source.manifest.kind} needs it"
        ) from error
    module = ModuleType(f"fleet_source_{source.name}_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look the module up by its name
    try:
        exec(compile(text, path, "exec"), vars(module))  # noqa: S102 - the source's own code
    except SyntaxError as error:
        line = (error.lineno if error.filename == str(path) else 0) or 1
        raise SourceCodeError(path, line, f"not Python: {error.msg}") from error
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = (lines[-1] if lines else 0) or 1
        raise SourceCodeError(path, line, f"can't be imported: {type(error).__name__}: {error}") from error
    return module


def _line_of_class(path: Path, name: str) -> int:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith(f"class {name}"):
            return number
    return 1
