"""A client that a generator makes from the OpenAPI document works against a real server."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest

from tests.helpers import Server, jpeg

PACKAGE = "sightline_generated"
# The generator knows no pictures as answers; as bytes of any kind it does.
CONFIG = '{"content_type_overrides": {"image/jpeg": "application/octet-stream"}, "post_hooks": []}'


@pytest.fixture(scope="module")
def generated(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a package that was generated from the server's document, and can be imported."""
    folder = tmp_path_factory.mktemp("generated")
    document = folder / "openapi.json"
    document.write_bytes(httpx.get(f"{server.url}/openapi.json").raise_for_status().content)
    config = folder / "config.json"
    config.write_text(CONFIG)
    code = "from openapi_python_client.cli import app; app(prog_name='openapi-python-client')"
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "generate", "--fail-on-warning", "--meta", "none"),
            *("--path", str(document), "--config", str(config)),
            *("--output-path", str(folder / PACKAGE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # The generator forgets an import where a body has two types (its issue 1451).
    for path in (folder / PACKAGE / "api" / "search").glob("image_to_*.py"):
        path.write_text(path.read_text().replace("Response, UNSET", "Response, UNSET, Unset"))
    sys.path.insert(0, str(folder))
    yield PACKAGE
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_it_uploads_and_searches(generated: str, server: Server) -> None:
    def module(name: str) -> Any:
        return importlib.import_module(f"{generated}.{name}")

    models, file = module("models"), module("types").File
    with module("client").Client(base_url=server.url, raise_on_unexpected_status=True) as client:
        for number in range(3):
            metadata = models.PictureFormMetadataType0.from_dict({"number": number})
            picture = file(BytesIO(jpeg(number)), f"{number}.jpg", "image/jpeg")
            form = models.PictureForm(picture, metadata, captions=[f"caption {number}", "more"])
            stored = module("api.images.put_image").sync(f"p{number}", client=client, body=form)
            assert (stored.id, stored.created) == (f"p{number}", True)
        among = {"field": "number", "range": {"gte": 1}}
        query = models.TextQuery(
            "caption", k=2, filter_=models.TextQueryFilterType0.from_dict(among), explain=True
        )
        found = module("api.search.text_to_image").sync(client=client, body=query)
        assert {result.id for result in found.results} == {"p1", "p2"}
        assert found.results[0].explanation.words[0].text == "caption"
        assert found.results[0].metadata.to_dict()["number"] in (1, 2)
        picture = file(BytesIO(jpeg(1)), "1.jpg", "image/jpeg")
        form = models.PictureQueryForm(picture, k=4, rerank=False, region=[0.0, 0.0, 1.0, 0.5])
        found = module("api.search.image_to_text").sync(client=client, body=form)
        assert len(found.results) == 4
        by_id = models.PictureQuery(image_id="p2", k=1)
        found = module("api.search.image_to_image").sync(client=client, body=by_id)
        assert [result.id for result in found.results] == ["p2"]
        page = module("api.images.list_images").sync(client=client, limit=2)
        assert [item.id for item in page.items] == ["p0", "p1"]
        thumbnail = module("api.images.get_thumbnail").sync("p0", client=client)
        assert thumbnail.payload.read().startswith(b"\xff\xd8")
        assert (
            module("api.images.delete_image").sync_detailed("p0", client=client).status_code == 204
        )
        problem = module("api.images.get_image").sync("p0", client=client)
        assert (problem.status, problem.title) == (404, "There is no such item")
        stats = module("api.operations.stats").sync(client=client)
        assert stats.counts.to_dict() == {"image": 2, "text": 6}
        wrong = module("api.search.text_to_image").sync(
            client=client, body=models.TextQuery("a", k=0)
        )
        assert wrong.errors[0].pointer == "/k"
