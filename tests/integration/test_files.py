"""Images and files of records, through the real command: on disk, and in a real S3 API server."""

import hashlib
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from struct import pack
from typing import Any

import botocore.session
import pytest
import urllib3
from PIL import Image

from tests.command import Fleet
from tests.running_hub import free_port
from tests.site import Answer, Site, serve_site

SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/list"]

        def parse(self, response):
            yield from response.json()
"""
KEYS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
THUMBNAILS = {"small": [20, 20]}


def image(width: int = 80, height: int = 40, kind: str = "PNG", colour: str = "red") -> bytes:
    made = BytesIO()
    Image.new("RGB", (width, height), colour).save(made, kind)
    return made.getvalue()


def bomb() -> bytes:
    """A PNG of 40,000 × 40,000 pixels in 1.5 MB: 1.6 GB unpacked."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    packed = b"".join([*(packer.compress(bytes(40_001)) for _ in range(40_000)), packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")  # fmt: skip


def name(path: str) -> str:
    return hashlib.sha1(f"http://site.invalid{path}".encode()).hexdigest()


def write(fleet: Fleet, files: dict[str, Any], **manifest: Any) -> None:
    folder = fleet.write_source("little", "scrapy", SPIDER, shrink_budget=1, **manifest)
    with (folder / "source.toml").open("a") as file:
        file.write("[files]\n")
        for key, value in files.items():
            text = ", ".join(f"{one} = {size}" for one, size in value.items()) if isinstance(value, dict) else ""
            file.write(f"{key} = {{ {text} }}\n" if text else f"{key} = {json.dumps(value)}\n")


def put(site: Site, *records: dict[str, Any]) -> None:
    site.put("/list", Answer(json.dumps(records), type="application/json"))


def record(identifier: str, *paths: str, field: str = "image_urls") -> dict[str, Any]:
    return {"_id": identifier, field: [path if ":" in path else f"http://site.invalid{path}" for path in paths]}


def crawl(fleet: Fleet, site: Site, **environment: str) -> dict[str, dict[str, Any]]:
    done = fleet.run("crawl", "little", "--base-url", site.url, **environment)
    assert done.returncode == 0, done.stderr
    return {record["_id"].removeprefix("little_"): record for record in fleet.records("little")}


def stored(fleet: Fleet) -> set[str]:
    folder = fleet.shared / "little_state/files"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_images_and_files_are_kept_referred_to_counted_and_removed_with_their_record(fleet: Fleet, site: Site) -> None:
    write(fleet, {"thumbnails": THUMBNAILS, "refetch_days": 0})
    site.put("/a.png", Answer(image(), type="image/png"))
    site.put("/b.jpg", Answer(image(kind="JPEG"), type="image/jpeg"))
    site.put("/c.pdf", Answer(b"%PDF-1.7 and so on", type="application/pdf"))
    put(site, record("one", "/a.png", "/b.jpg"), record("two", "/c.pdf", field="file_urls"), {"_id": "three"})
    records = crawl(fleet, site)
    first = records["one"]["images"][0]
    assert first["url"] == "http://site.invalid/a.png"
    assert first["path"] == f"full/{name('/a.png')}.jpg"
    assert first["thumbnails"] == {"small": f"thumbs/small/{name('/a.png')}.jpg"}
    assert set(first) == {"url", "path", "md5", "thumbnails"}
    assert records["two"]["files"][0]["path"] == f"files/{name('/c.pdf')}.pdf"
    assert all("image_urls" not in made and "file_urls" not in made for made in records.values())
    folder = fleet.shared / "little_state/files"
    assert hashlib.md5((folder / first["path"]).read_bytes()).hexdigest() == first["md5"]
    with Image.open(folder / first["thumbnails"]["small"]) as small:
        assert small.size == (20, 10)
    assert len(stored(fleet)) == 5
    counts = fleet.description("little")["counts"]
    assert counts["requests"] == counts["responses"] == len(site.seen) == 5  # robots.txt, the list, three files

    (folder / "full" / ".left.jpg.tmp").write_bytes(b"half")  # by a crawl that was killed
    put(site, record("one", "/b.jpg"), {"_id": "three"})
    again = crawl(fleet, site)
    assert again["one"]["images"] == records["one"]["images"][1:]
    assert stored(fleet) == {f"full/{name('/b.jpg')}.jpg", f"thumbs/small/{name('/b.jpg')}.jpg"}

    site.put("/list", Answer(status=500, headers={"Retry-After": "0"}))
    assert fleet.run("crawl", "little", "--base-url", site.url).returncode == 1
    assert len(stored(fleet)) == 2


def test_what_is_too_large_too_many_of_another_type_or_nowhere_is_counted_and_left_out(
    fleet: Fleet, site: Site
) -> None:
    limits = {"max_mb": 2, "max_per_record": 12, "max_megapixels": 1, "types": ["image/png", "application/pdf"]}
    write(fleet, limits, error_budget=1)
    with serve_site() as elsewhere:
        trouble = {
            "/bomb.png": (Answer(bomb(), type="image/png"), "too_large"),
            "/wide.png": (Answer(image(1001, 1000), type="image/png"), "too_large"),
            "/large.png": (Answer(bytes(3 << 20), type="image/png"), "too_large"),
            "/picture.gif": (Answer(image(kind="GIF"), type="image/png"), "parse"),
            "/page.png": (Answer("<html>no image"), "parse"),
            "/cut.png": (Answer(image(300, 300)[:400], type="image/png"), "parse"),
            "/missing.png": (Answer(status=404), "not_found"),
            "/inside.png": (Answer(status=302, headers={"Location": f"{elsewhere.url}/"}), "address"),
            "/secret.png": (Answer(image()), "robots"),
        }
        for path, (answer, _) in trouble.items():
            site.put(path, answer)
        site.put("/robots.txt", "User-agent: *\nDisallow: /secret\n")
        site.put("/good.png", Answer(image(), type="image/png"))
        site.put("/odd.pdf", Answer("<html>", type="application/pdf"))
        many = [f"/good.png?{number}" for number in range(12)]
        for path in many:
            site.put(path, Answer(image(), type="image/png"))
        put(
            site,
            record("bad", *trouble, "/good.png", "file:///etc/passwd"),
            record("many", *many, "/one-more.png"),
            record("odd", "/odd.pdf", field="file_urls"),
        )
        records = crawl(fleet, site)
        assert elsewhere.seen == []
    assert [made["url"] for made in records["bad"]["images"]] == ["http://site.invalid/good.png"]
    assert len(records["many"]["images"]) == 12
    assert "files" not in records["odd"]
    expected = {"scheme": 1, "too_large": 1, "parse": 1}
    for _, kind in trouble.values():
        expected[kind] = expected.get(kind, 0) + 1
    errors = {kind: error["count"] for kind, error in fleet.description("little")["errors"].items()}
    assert errors == expected
    rejects = {reject["url"]: reject["reason"] for reject in fleet.rejects("little")}
    assert rejects["http://site.invalid/wide.png"].startswith("too_large: images: 1001×1000 pixels")
    assert "/one-more.png" not in site.paths()


@pytest.fixture
def s3() -> Iterator[str]:
    """The endpoint of an S3 API server with a bucket."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    endpoint = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            urllib3.PoolManager(retries=urllib3.Retry(200, backoff_factor=0.1, backoff_max=0.2)).request(
                "GET", endpoint
            )
            client(endpoint).create_bucket(Bucket="pictures")
            yield endpoint
        finally:
            server.terminate()


def client(endpoint: str) -> Any:
    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )


def test_a_bucket_of_s3_holds_them_as_well(fleet: Fleet, site: Site, s3: str) -> None:
    write(fleet, {"store": "s3://pictures/fleet", "thumbnails": THUMBNAILS})
    bucket = client(s3)
    bucket.put_object(Bucket="pictures", Key="fleet/other/full/kept.jpg", Body=b"another source's")

    def keys() -> set[str]:
        listed = bucket.list_objects_v2(Bucket="pictures").get("Contents", ())
        return {entry["Key"] for entry in listed} - {"fleet/other/full/kept.jpg"}

    for path in ("/a.png", "/b.png"):
        site.put(path, Answer(image(), type="image/png"))
    put(site, record("one", "/a.png"), record("two", "/b.png"))
    records = crawl(fleet, site, AWS_ENDPOINT_URL=s3, **KEYS)
    found = records["one"]["images"][0]
    body = bucket.get_object(Bucket="pictures", Key=f"fleet/little/{found['path']}")["Body"].read()
    assert hashlib.md5(body).hexdigest() == found["md5"]
    assert len(keys()) == 4

    put(site, record("one", "/a.png"))
    again = crawl(fleet, site, AWS_ENDPOINT_URL=s3, **KEYS)
    assert again["one"] == records["one"]
    assert site.paths().count("/a.png") == 1  # it was there, and not old
    assert keys() == {f"fleet/little/full/{name('/a.png')}.jpg", f"fleet/little/thumbs/small/{name('/a.png')}.jpg"}
    assert not Path(fleet.shared / "little_state/files").exists()
