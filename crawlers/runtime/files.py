"""Images and files of records, on Scrapy's pipelines: fetched as pages are, bounded, stored, referred to, and removed with their records.

An item's ``image_urls`` and ``file_urls`` become ``images`` and ``files``: lists of ``{"url", "path", "md5"}``, images with
``thumbnails``, too. ``path`` is the name in the store: made from the URL, so the same from crawl to crawl. docs/files.md tells more.
"""

import logging
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from itemadapter import ItemAdapter
from PIL import Image, UnidentifiedImageError
from scrapy import Request
from scrapy.http import Response
from scrapy.pipelines.files import FilesPipeline
from scrapy.pipelines.images import ImagesPipeline
from scrapy.pipelines.media import FileException
from twisted.python.failure import Failure

from crawlers.runtime.failures import failure_class, status_class
from crawlers.runtime.file_stores import STORES
from crawlers.runtime.http import is_http_url

logger = logging.getLogger(__name__)

FILE = "fleet_file"
# What the bytes of a file begin with, where its type tells.
_BEGINNINGS = {
    "application/pdf": b"%PDF-",
    "application/zip": b"PK",
    "application/gzip": b"\x1f\x8b",
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n",
    "image/gif": b"GIF8",
}


class FileRefusedError(FileException):
    """A file is not taken. ``kind``: the class of error that it counts as."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _OfRecords(FilesPipeline):
    """What images and files have in common. Each file is a page of the crawl: it counts, and its failure does, too."""

    STORE_SCHEMES = STORES
    LOG_FAILED_RESULTS = False
    wanted_field, result_field = "", ""

    def __init__(self, store_uri: Any, download_func: None = None, *, crawler: Any) -> None:
        super().__init__(store_uri, crawler=crawler)
        self._run = crawler.fleet_run
        self._limits = self._run.source.manifest.files
        self._counted: set[str] = set()

    def get_media_requests(self, item: Any, info: Any) -> list[Request]:
        urls = ItemAdapter(item).get(self.wanted_field) or []
        if not isinstance(urls, list | tuple):
            raise TypeError(f"{self.wanted_field} must be a list of URLs, got {type(urls).__name__}")
        urls = list(dict.fromkeys(map(str, urls)))
        most = self._limits.max_per_record
        if len(urls) > most:
            self._fail(
                urls[most], "too_large", f"{len(urls)} {self.result_field} in a record; max_per_record allows {most}"
            )
        meta = {FILE: True, "download_maxsize": int(self._limits.max_mb * (1 << 20))}
        requests = []
        for url in urls[:most]:
            if is_http_url(url):
                requests.append(Request(url, meta=dict(meta)))
            else:
                self._fail(url, "scheme", "is no http(s) URL")
        return requests

    def media_downloaded(self, response: Response, request: Request, info: Any, *, item: Any = None) -> Any:
        if response.status != 200:
            raise FileRefusedError(status_class(response.status), f"HTTP {response.status}")
        if len(response.body) > self._limits.max_mb * (1 << 20):
            raise FileRefusedError(
                "too_large", f"{len(response.body):,} bytes; max_mb allows {self._limits.max_mb:g} MiB"
            )
        self.require_type(response)
        return super().media_downloaded(response, request, info, item=item)

    def media_failed(self, failure: Failure, request: Request, info: Any) -> Any:
        failure.raiseException()  # as it is: its class of error counts

    def item_completed(self, results: list[Any], item: Any, info: Any) -> Any:
        adapter = ItemAdapter(item)
        if self.wanted_field not in adapter:
            return item
        references = []
        for request, (done, result) in zip(self.get_media_requests(item, info), results, strict=True):
            if request.url not in self._counted:
                self._run.tally.pages += 1
            if done:
                self._counted.add(request.url)
                references.append(self.reference(result, request))
            else:
                error = result.value
                self._fail(request.url, getattr(error, "kind", "") or failure_class(error), str(error))
        del adapter[self.wanted_field]
        if references:
            adapter[self.result_field] = references
        return item

    def reference(self, result: Any, request: Request) -> dict[str, Any]:
        return {"url": result["url"], "path": result["path"], "md5": result["checksum"]}

    def require_type(self, response: Response) -> None:
        """:raises FileRefusedError: the file is of another type than those taken, or not of the type that it says."""
        raise NotImplementedError

    def _fail(self, url: str, kind: str, message: str) -> None:
        if url not in self._counted:
            self._counted.add(url)
            self._run.fail_page(kind, url, f"{self.result_field}: {message}")


class FilesOfRecords(_OfRecords):
    """``file_urls`` become ``files``."""

    wanted_field, result_field = "file_urls", "files"

    def file_path(self, request: Request, response: Any = None, info: Any = None, *, item: Any = None) -> str:
        return super().file_path(request, response, info, item=item).replace("full/", "files/", 1)

    def require_type(self, response: Response) -> None:
        kind = (response.headers.get("Content-Type") or b"").decode("latin-1").partition(";")[0].strip().lower()
        if self._limits.types and kind not in self._limits.types:
            raise FileRefusedError(
                "parse", f"it is {kind or 'of no type'}; types allows {', '.join(self._limits.types)}"
            )
        if not response.body.startswith(_BEGINNINGS.get(kind, b"")):
            raise FileRefusedError("parse", f"it says that it is {kind}, but its bytes are not")


class ImagesOfRecords(_OfRecords, ImagesPipeline):
    """``image_urls`` become ``images``, kept as JPEG, with thumbnails."""

    wanted_field, result_field = "image_urls", "images"

    def reference(self, result: Any, request: Request) -> dict[str, Any]:
        made = super().reference(result, request)
        if self._limits.thumbnails:
            made["thumbnails"] = {name: self.thumb_path(request, name) for name in sorted(self._limits.thumbnails)}
        return made

    def require_type(self, response: Response) -> None:
        """Looks at the head of the image alone: what it unpacks to may be a thousand times as large."""
        allowed = int(self._limits.max_megapixels * 1_000_000)
        Image.MAX_IMAGE_PIXELS = allowed
        try:
            with Image.open(BytesIO(response.body)) as image:
                kind, (width, height) = Image.MIME.get(image.format or "", "unknown"), image.size
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise FileRefusedError("too_large", f"a decompression bomb: {error}") from error
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise FileRefusedError("parse", f"no image that can be read: {error}") from error
        if width * height > allowed:
            raise FileRefusedError(
                "too_large", f"{width}×{height} pixels; max_megapixels allows {self._limits.max_megapixels:g}"
            )
        if self._limits.types and kind not in self._limits.types:
            raise FileRefusedError("parse", f"it is {kind}; types allows {', '.join(self._limits.types)}")

    def get_images(self, response: Response, request: Request, info: Any, *, item: Any = None) -> Iterator[Any]:
        try:
            yield from super().get_images(response, request, info, item=item)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise FileRefusedError("parse", f"no image that can be read: {error}") from error


def file_settings(run: Any, folder: str) -> dict[str, Any]:
    """Scrapy's settings for the images and files of a crawl. ``folder``: where they are stored unless ``[files] store`` says."""
    limits = run.source.manifest.files
    if limits is None:
        return {}
    store = f"{limits.store.rstrip('/')}/{run.source.name}/" if limits.store else folder
    return {
        "IMAGES_STORE": store,
        "FILES_STORE": store,
        "IMAGES_THUMBS": {name: tuple(size) for name, size in limits.thumbnails.items()},
        "IMAGES_EXPIRES": limits.refetch_days,
        "FILES_EXPIRES": limits.refetch_days,
        "MEDIA_ALLOW_REDIRECTS": True,
        "ITEM_PIPELINES": {f"{__name__}.ImagesOfRecords": 900, f"{__name__}.FilesOfRecords": 910},
    }
