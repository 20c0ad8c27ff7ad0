"""Files that are no pictures, pictures that are odd, and bodies over the limit: never a 500."""

import io
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from service.settings import Settings
from tests.helpers import client_of, file_of, jpeg, photo

pytestmark = pytest.mark.anyio


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def animated() -> bytes:
    frames = [photo(seed) for seed in range(3)]
    return file_of(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40)


def sixteen_bit() -> bytes:
    values = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20
    return file_of(Image.fromarray(values), "PNG")


def sideways() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return file_of(photo(1, 120, 60), exif=exif)


GARBAGE = {
    "empty": (b"", 422),
    "truncated": (jpeg(1)[: len(jpeg(1)) // 2], 422),
    "words": (b"this is a text file named .jpg", 422),
    "html": (b"<html><img src=x onerror=alert(1)></html>", 422),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 422),
    "zeros": (bytes(5000), 422),
    "header only": (b"\x89PNG\r\n\x1a\n", 422),
    "truncated gif": (animated()[:40], 422),
    "bomb": (png_header(50_000, 50_000), 413),
    "smaller bomb": (png_header(12_000, 10_000), 413),
    "long bomb": (png_header(2_000_000, 1), 413),
    "lying header": (png_header(4_000, 4_000), 422),
}
ODD = {
    "animated gif": animated(),
    "cmyk jpeg": file_of(photo(1).convert("CMYK")),
    "16-bit png": sixteen_bit(),
    "palette png": file_of(photo(1).convert("P"), "PNG"),
    "alpha png": file_of(photo(1).convert("RGBA"), "PNG"),
    "grey jpeg": file_of(photo(1).convert("L")),
    "one bit": file_of(photo(1).convert("1"), "PNG"),
    "webp": file_of(photo(1), "WEBP"),
    "tiff": file_of(photo(1), "TIFF"),
    "bmp": file_of(photo(1), "BMP"),
    "one pixel": file_of(photo(1, 1, 1), "PNG"),
    "very wide": file_of(photo(1, 4000, 2), "PNG"),
    "sideways": sideways(),
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("path", ["/images/x", "/images", "/search/image-to-text"])
async def test_garbage_is_refused_in_words(
    shared_client: httpx.AsyncClient, path: str, name: str
) -> None:
    data, status = GARBAGE[name]
    method = "PUT" if path == "/images/x" else "POST"
    files = {"image": ("photo.jpg", data, "image/jpeg")}
    response = await shared_client.request(method, path, files=files)
    assert response.status_code == status, response.text
    problem = response.json()
    assert [error["pointer"] for error in problem["errors"]] == ["/image"]
    assert len(problem["detail"]) > 10
    if status == 413:
        assert "limit" in problem["detail"]


async def test_odd_pictures_are_handled(client: httpx.AsyncClient) -> None:
    for name, data in ODD.items():
        files = {"image": ("photo", data, "application/octet-stream")}
        put = await client.put(f"/images/{name}", files=files)
        assert put.status_code == 201, (name, put.text)
        search = await client.post("/search/image-to-text", files=files)
        assert search.status_code == 200, (name, search.text)
        thumbnail = await client.get(f"/images/{name}/thumbnail")
        assert Image.open(io.BytesIO(thumbnail.content)).mode == "RGB"


async def test_orientation_is_applied(client: httpx.AsyncClient) -> None:
    await client.put("/images/x", files={"image": ("x.jpg", sideways(), "image/jpeg")})
    thumbnail = await client.get("/images/x/thumbnail")
    assert Image.open(io.BytesIO(thumbnail.content)).size == (60, 120)


@pytest.fixture(scope="module")
async def narrow(
    toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with small limits."""
    settings = Settings(bundle=toy_bundle, data_dir=tmp_path_factory.mktemp("narrow"), device="cpu")
    limits = {
        "max_json_bytes": 2_000,
        "max_body_bytes": 20_000,
        "max_bulk_body_bytes": 40_000,
        "max_picture_bytes": 10_000,
        "max_picture_pixels": 10_000,
        "max_picture_side_pixels": 500,
        "max_bulk_texts": 3,
        "max_text_characters": 50,
        "default_candidates": 10,
        "max_candidates": 20,
    }
    async with client_of(settings.model_copy(update=limits)) as asking:
        yield asking


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 500):
        yield b"x" * 500


@pytest.mark.parametrize(
    ("path", "kind", "limit"),
    [
        ("/search/text-to-image", "application/json", "2,000"),
        ("/texts:bulk", "application/json", "2,000"),
        ("/search/image-to-text", "application/json", "20,000"),
        ("/search/image-to-text", "multipart/form-data; boundary=x", "20,000"),
        ("/images", "multipart/form-data; boundary=x", "20,000"),
        ("/images", "Multipart/Form-Data; boundary=x", "20,000"),
        ("/images:bulk", "multipart/form-data; boundary=x", "40,000"),
    ],
)
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "streamed"])
async def test_a_body_over_the_limit_is_refused(
    narrow: httpx.AsyncClient, path: str, kind: str, limit: str, announced: bool
) -> None:
    content = b"x" * 41_000 if announced else in_pieces(41_000)
    if not announced and kind.lower().startswith("multipart"):
        content = as_form(in_pieces(41_000))
    response = await narrow.post(path, content=content, headers={"content-type": kind})
    assert response.status_code == 413, response.text
    assert response.json()["detail"] == f"the request's body is over the limit of {limit} bytes"
    assert response.headers["content-type"] == "application/problem+json"


async def as_form(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b'--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n'
    async for piece in content:
        yield piece


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (file_of(photo(1), "BMP"), "20,790 bytes; the limit is 10,000"),
        (file_of(photo(1, 200, 60), "JPEG"), "200 x 60; the limit is 10,000 pixels"),
        (file_of(photo(1, 600, 2), "JPEG"), "600 x 2; the limit is 500 pixels a side"),
    ],
    ids=["bytes", "pixels", "side"],
)
async def test_a_picture_over_a_limit_names_it(
    narrow: httpx.AsyncClient, data: bytes, words: str
) -> None:
    files = [("images", ("a.jpg", data, "image/jpeg"))]
    [item] = (await narrow.post("/images:bulk", files=files)).json()["items"]
    assert item["status"] == 413
    assert words in item["error"]["detail"]


async def test_text_over_a_limit_names_it(narrow: httpx.AsyncClient) -> None:
    long = await narrow.put("/texts/a", json={"text": "x" * 51})
    assert long.status_code == 422
    assert long.json()["errors"] == [
        {
            "pointer": "/text",
            "detail": "a text has 1 to 50 characters, not 51",
            "place": "body",
        }
    ]
    many = await narrow.post("/texts:bulk", json={"items": [{"text": "x"}] * 4})
    assert many.json()["detail"] == "items: at most 3 items in one request, not 4"


async def test_k_follows_the_limit_of_candidates(narrow: httpx.AsyncClient) -> None:
    body = {"query": "dog", "k": 21}
    response = await narrow.post("/search/text-to-image", json=body)
    assert response.json()["errors"][0]["pointer"] == "/k"
    assert "limit of 20" in response.json()["detail"]
