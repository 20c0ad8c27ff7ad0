"""Pictures of the collection: put, get, change, delete, list, many at once."""

import hashlib
import io
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from service.settings import Settings
from tests.helpers import client_of, file_of, jpeg, photo

pytestmark = pytest.mark.anyio


def part(data: bytes, name: str = "photo.jpg") -> dict[str, Any]:
    return {"image": (name, data, "image/jpeg")}


async def put(client: httpx.AsyncClient, id_: str, data: bytes, **fields: str) -> httpx.Response:
    return await client.put(f"/images/{id_}", files=part(data), data=fields)


async def test_a_picture_is_stored_and_described(client: httpx.AsyncClient) -> None:
    data = jpeg(1)
    response = await put(client, "beach", data, metadata='{"album": "coast", "year": 2024}')
    assert (response.status_code, response.json()) == (201, {"id": "beach", "created": True})
    item = (await client.get("/images/beach")).json()
    assert item.keys() == {
        *("id", "kind", "metadata", "tags", "url", "content_hash", "created_at", "updated_at")
    }
    assert (item["id"], item["kind"], item["url"]) == ("beach", "image", "/images/beach/thumbnail")
    assert item["metadata"] == {"album": "coast", "year": 2024}
    assert item["content_hash"] == hashlib.sha256(data).hexdigest()
    assert item["created_at"].endswith("Z")


async def test_the_same_picture_again_changes_nothing(client: httpx.AsyncClient) -> None:
    await put(client, "beach", jpeg(1), metadata='{"album": "coast"}')
    before = (await client.get("/images/beach")).json()
    again = await put(client, "beach", jpeg(1))
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert (await client.get("/images/beach")).json() == before


async def test_the_same_picture_with_other_metadata_changes_only_that(
    client: httpx.AsyncClient,
) -> None:
    await put(client, "beach", jpeg(1), metadata='{"album": "coast"}')
    before = (await client.get("/images/beach")).json()
    await put(client, "beach", jpeg(1), metadata="{}")
    after = (await client.get("/images/beach")).json()
    assert after["metadata"] == {}
    assert after["content_hash"] == before["content_hash"]


async def test_another_picture_under_the_same_id_replaces_it(client: httpx.AsyncClient) -> None:
    await put(client, "beach", jpeg(1), metadata='{"album": "coast"}')
    first = (await client.get("/images/beach/thumbnail")).content
    response = await put(client, "beach", jpeg(2))
    assert response.status_code == 200
    assert (await client.get("/images/beach/thumbnail")).content != first
    assert (await client.get("/images/beach")).json()["metadata"] == {"album": "coast"}
    assert (await client.get("/stats")).json()["counts"]["image"] == 1


async def test_a_post_is_stored_under_its_content_once(client: httpx.AsyncClient) -> None:
    data = jpeg(4)
    first = await client.post("/images", files=part(data))
    second = await client.post("/images", files=part(data, "other name.jpg"))
    expected = hashlib.sha256(data).hexdigest()
    assert (first.status_code, first.json()) == (201, {"id": expected, "created": True})
    assert (second.status_code, second.json()) == (200, {"id": expected, "created": False})


async def test_a_post_adds_to_what_was_told_of_the_picture(client: httpx.AsyncClient) -> None:
    told = {"metadata": '{"album": "coast", "year": 2023}'}
    id_ = (await client.post("/images", files=part(jpeg(4)), data=told)).json()["id"]
    again = {"metadata": '{"year": 2024}'}
    await client.post("/images", files=part(jpeg(4)), data=again)
    stored = (await client.get(f"/images/{id_}")).json()["metadata"]
    assert stored == {"album": "coast", "year": 2024}
    await client.put(f"/images/{id_}", files=part(jpeg(4)), data=again)
    assert (await client.get(f"/images/{id_}")).json()["metadata"] == {"year": 2024}


async def test_captions_become_texts_and_leave_with_the_next_ones(
    client: httpx.AsyncClient,
) -> None:
    captions = json.dumps(["a dog", "two cats", "snow"])
    await put(client, "pets", jpeg(1), captions=captions)
    text = (await client.get("/texts/pets-1")).json()
    assert (text["text"], text["metadata"]) == ("two cats", {"image_id": "pets"})
    await client.put("/texts/pets-5", json={"text": "not a caption of pets"})
    await put(client, "pets", jpeg(1), captions='["one horse"]')
    ids = [item["id"] for item in (await client.get("/texts")).json()["items"]]
    assert ids == ["pets-0", "pets-5"]
    assert (await client.get("/texts/pets-5")).json()["metadata"] == {}
    assert (await client.get("/texts/pets-0")).json()["text"] == "one horse"


async def test_a_text_that_is_there_already_becomes_a_caption(client: httpx.AsyncClient) -> None:
    await client.put("/texts/pets-0", json={"text": "a dog", "metadata": {"by": "hand"}})
    await put(client, "pets", jpeg(1), captions='["a dog"]')
    assert (await client.get("/texts/pets-0")).json()["metadata"] == {"image_id": "pets"}
    await client.patch("/texts/pets-0/metadata", json={"note": "stays"})
    await put(client, "pets", jpeg(1), captions='["a dog"]')
    metadata = (await client.get("/texts/pets-0")).json()["metadata"]
    assert metadata == {"image_id": "pets", "note": "stays"}
    await put(client, "pets", jpeg(1), captions="[]")
    assert (await client.get("/texts")).json()["items"] == []


async def test_captions_may_come_one_field_each(client: httpx.AsyncClient) -> None:
    for captions in (["a dog", "2", "[sic] a cat"], "only one"):
        files = part(jpeg(1))
        response = await client.put("/images/p", files=files, data={"captions": captions})
        assert response.status_code in (200, 201), response.text
        texts = (await client.get("/texts")).json()["items"]
        expected = captions if isinstance(captions, list) else [captions]
        assert [item["text"] for item in texts] == expected


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"metadata": "{"}, "/metadata"),
        ({"metadata": "[1]"}, "/metadata"),
        ({"metadata": '{"a": NaN}'}, "/metadata"),
        ({"metadata": '{"a": 1e999}'}, "/metadata"),
        ({"metadata": json.dumps({"a": "x" * 17_000})}, "/metadata"),
        ({"metadata": '{"a":' * 40 + "1" + "}" * 40}, "/metadata"),
        ({"captions": '["open'}, "/captions"),
        ({"captions": '{"en": "a dog"}'}, "/captions"),
        ({"captions": " "}, "/captions/0"),
        ({"captions": '["fine", 2]'}, "/captions/1"),
        ({"captions": '["fine", "  "]'}, "/captions/1"),
        ({"captions": json.dumps(["x"] * 21)}, "/captions"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_stored(
    client: httpx.AsyncClient, fields: dict[str, str], field: str
) -> None:
    response = await put(client, "beach", jpeg(1), **fields)
    assert response.status_code == 422, response.text
    assert [error["pointer"] for error in response.json()["errors"]] == [field]
    assert (await client.get("/stats")).json()["counts"] == {"image": 0, "text": 0}


@pytest.mark.parametrize(
    "id_", ["strand-ä", "海滩", "🏖", "a b+c%", "x" * 200, "semi;colon?#&=", "-", "...", "a:bulk"]
)
async def test_ids_of_any_alphabet_lead_back_to_their_item(
    client: httpx.AsyncClient, id_: str
) -> None:
    path = f"/images/{quote(id_, safe='')}"
    assert (await client.put(path, files=part(jpeg(1)))).status_code == 201
    item = (await client.get(path)).json()
    assert item["id"] == id_
    assert (await client.get(item["url"])).headers["content-type"] == "image/jpeg"
    assert (await client.delete(path)).status_code == 204


@pytest.mark.parametrize("id_", ["x" * 201, "%00", "a%0Ab", "%FF", "%7F", "%C2%85"])
async def test_ids_that_are_none_are_refused(client: httpx.AsyncClient, id_: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        files = part(jpeg(1)) if method == "PUT" else None
        response = await client.request(method, f"/images/{id_}", files=files)
        assert response.status_code == 422, (method, response.text)
        assert response.json()["errors"][0]["pointer"] == "/id"
        assert response.json()["errors"][0]["place"] == "path"


async def test_a_deleted_picture_is_gone(client: httpx.AsyncClient) -> None:
    await put(client, "beach", jpeg(1))
    assert (await client.delete("/images/beach")).status_code == 204
    for path in ("/images/beach", "/images/beach/thumbnail"):
        assert (await client.get(path)).status_code == 404
    assert (await client.delete("/images/beach")).status_code == 404
    patch = await client.patch("/images/beach/metadata", json={"a": 1})
    assert patch.status_code == 404


async def test_metadata_is_merged(client: httpx.AsyncClient) -> None:
    await put(client, "beach", jpeg(1), metadata='{"a": 1, "b": {"c": 2, "d": 3}}')
    merge = {"content-type": "application/merge-patch+json"}
    body = json.dumps({"a": None, "b": {"c": 4}, "e": [1]})
    response = await client.patch("/images/beach/metadata", content=body, headers=merge)
    assert response.status_code == 200
    assert response.json()["metadata"] == {"b": {"c": 4, "d": 3}, "e": [1]}
    assert (await client.get("/images/beach")).json()["metadata"] == response.json()["metadata"]


async def test_metadata_that_grows_too_large_is_refused_and_kept(
    client: httpx.AsyncClient,
) -> None:
    await put(client, "beach", jpeg(1), metadata=json.dumps({"a": "x" * 9_000}))
    response = await client.patch("/images/beach/metadata", json={"b": "y" * 9_000})
    assert response.status_code == 422
    assert "16,384 bytes" in response.json()["detail"]
    assert (await client.get("/images/beach")).json()["metadata"].keys() == {"a"}


async def test_a_thumbnail_is_small_and_validated(client: httpx.AsyncClient) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    data = file_of(photo(1, 1200, 300), exif=exif)
    assert b"taken at home" in data
    await put(client, "wide", data)
    response = await client.get("/images/wide/thumbnail")
    picture = Image.open(io.BytesIO(response.content))
    assert (picture.size, picture.format) == ((384, 96), "JPEG")
    assert b"taken at home" not in response.content
    assert "no-cache" in response.headers["cache-control"]
    tag = {"if-none-match": response.headers["etag"]}
    cached = await client.get("/images/wide/thumbnail", headers=tag)
    assert (cached.status_code, cached.content) == (304, b"")
    lines = [("if-none-match", '"another"'), *tag.items()]
    cached = await client.get("/images/wide/thumbnail", headers=lines)
    assert cached.status_code == 304
    await put(client, "wide", jpeg(2))
    assert (await client.get("/images/wide/thumbnail", headers=tag)).status_code == 200


async def test_pages_list_every_picture_once_in_order(client: httpx.AsyncClient) -> None:
    files = [("images", (f"{n:02}.jpg", jpeg(n), "image/jpeg")) for n in range(7)]
    await client.post("/images:bulk", files=files)
    ids: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        params = {"limit": "3"} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get("/images", params=params)).json()
        ids += [item["id"] for item in page["items"]]
        cursor = page.get("next_cursor")
        await client.delete(f"/images/{ids[-1]}")
    assert ids == [f"{n:02}" for n in range(7)]
    assert cursor is None


async def test_tags_are_counted(client: httpx.AsyncClient) -> None:
    await put(client, "beach", jpeg(1))
    item = (await client.get("/images/beach")).json()
    tags = (await client.get("/tags")).json()["tags"]
    assert tags == [{"tag": tag, "count": 1} for tag in sorted(item["tags"])]
    assert (await client.get("/tags?kind=text")).json() == {"tags": []}


async def test_tags_are_counted_within_a_filter(client: httpx.AsyncClient) -> None:
    for number in range(3):
        await put(client, f"p{number}", jpeg(number), metadata=json.dumps({"number": number}))
    wanted = {"filter": json.dumps({"field": "number", "range": {"gte": 1}})}
    expected: dict[str, int] = {}
    for number in (1, 2):
        for tag in (await client.get(f"/images/p{number}")).json()["tags"]:
            expected[tag] = expected.get(tag, 0) + 1
    found = (await client.get("/tags", params=wanted)).json()["tags"]
    assert {one["tag"]: one["count"] for one in found} == expected
    assert [one["count"] for one in found] == sorted(expected.values(), reverse=True)
    for bad, pointer in (("{", "/filter"), ('{"and": [7]}', "/filter/and/0")):
        refused = await client.get("/tags", params={"filter": bad})
        assert refused.status_code == 422
        [error] = refused.json()["errors"]
        assert (error["pointer"], error["place"]) == (pointer, "query")


async def test_one_bad_file_does_not_fail_the_rest(client: httpx.AsyncClient) -> None:
    files = [
        ("images", ("one.jpg", jpeg(1), "image/jpeg")),
        ("images", ("words.jpg", b"not a picture", "image/jpeg")),
        ("images", ("folder/two.large.png", file_of(photo(2), "PNG"), "image/png")),
        ("images", ("one.png", jpeg(3), "image/png")),
        ("images", ("x" * 250 + ".jpg", jpeg(4), "image/jpeg")),
        ("images", ("empty.jpg", b"", "image/jpeg")),
    ]
    response = await client.post("/images:bulk", files=files)
    assert response.status_code == 200
    found = response.json()
    assert [(item["index"], item["id"], item["status"]) for item in found["items"]] == [
        (0, "one", 201),
        (1, "words", 422),
        (2, "two.large", 201),
        (3, "one", 409),
        (4, None, 422),
        (5, "empty", 422),
    ]
    assert (found["created"], found["replaced"], found["failed"]) == (2, 0, 4)
    assert "not a picture" in found["items"][1]["error"]["detail"]
    ids = [item["id"] for item in (await client.get("/images")).json()["items"]]
    assert ids == ["one", "two.large"]


async def test_items_name_and_describe_the_files_of_a_bulk(client: httpx.AsyncClient) -> None:
    files = [("images", (f"{n}.jpg", jpeg(n), "image/jpeg")) for n in range(4)]
    items = [{"id": "first", "metadata": {"n": 0}}, None, {"metadata": {"n": 2}}, {"ID": "x"}]
    data = {"items": json.dumps(items)}
    found = (await client.post("/images:bulk", files=files, data=data)).json()
    assert [(item["id"], item["status"]) for item in found["items"]] == [
        ("first", 201),
        ("1", 201),
        ("2", 201),
        (None, 422),
    ]
    assert found["items"][3]["error"]["errors"][0]["pointer"] == "/ID"
    assert (await client.get("/images/2")).json()["metadata"] == {"n": 2}
    again = (await client.post("/images:bulk", files=files, data=data)).json()
    assert (again["created"], again["replaced"], again["failed"]) == (0, 3, 1)


@pytest.mark.parametrize(
    ("items", "words"),
    [("[null]", "one entry for each file: 2, not 1"), ("{}", "list"), ("[", "JSON")],
)
async def test_items_that_do_not_fit_the_files_are_refused(
    client: httpx.AsyncClient, items: str, words: str
) -> None:
    files = [("images", (f"{n}.jpg", jpeg(n), "image/jpeg")) for n in range(2)]
    response = await client.post("/images:bulk", files=files, data={"items": items})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/items"
    assert words in response.json()["detail"]


async def test_a_bulk_of_too_many_files_names_the_limit(settings: Settings) -> None:
    files = [("images", (f"{n}.jpg", jpeg(n), "image/jpeg")) for n in range(3)]
    async with client_of(settings.model_copy(update={"max_bulk_pictures": 2})) as client:
        response = await client.post("/images:bulk", files=files)
    assert response.status_code == 422
    assert response.json()["detail"] == "images: at most 2 files in one request"


def form_parts() -> list[bytes]:
    head = b'--x\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    return [
        head % (b"image", b'; filename="a.jpg"', jpeg(1)),
        head % (b"metadata", b"", b'{"a": 1}'),
    ]


@pytest.mark.parametrize("end", [b"", b"--x", b"--x\r\n"])
async def test_a_form_that_was_cut_off_is_refused_and_nothing_is_stored(
    client: httpx.AsyncClient, end: bytes
) -> None:
    whole = b"".join(form_parts())
    content = whole + end
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await client.put("/images/a", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "the form ends before its closing boundary"
    assert (await client.get("/images/a")).status_code == 404
    ended = await client.put("/images/a", content=whole + b"--x--", headers=headers)
    assert ended.status_code == 201


async def test_a_charset_that_reads_no_field_is_refused(client: httpx.AsyncClient) -> None:
    content = b"".join(form_parts()) + b"--x--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x; charset=undefined"}
    answer = await client.put("/images/a", content=content, headers=headers)
    assert answer.status_code == 400
    assert "charset" in answer.json()["detail"]
