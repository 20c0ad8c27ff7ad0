"""The OpenAPI document: every body, every refusal, examples that the service accepts."""

import re
from typing import Any

import pytest

from service.app import create_app
from service.fields import check_id
from service.problems import MEDIA_TYPE
from service.queries import PictureQueryForm, TextQuery
from service.schemas import BulkPicturesForm, PictureForm
from service.settings import Settings


@pytest.fixture
def document(settings: Settings) -> dict[str, Any]:
    return create_app(settings).openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_is_described(document: dict[str, Any]) -> None:
    lacking = [
        (method, path)
        for method, path, operation in operations(document)
        if not operation.get("description") or not operation.get("tags")
    ]
    assert lacking == []
    assert len(operations(document)) >= 26


def test_both_ways_to_send_a_picture_are_there(document: dict[str, Any]) -> None:
    content = document["paths"]["/search/image-to-text"]["post"]["requestBody"]["content"]
    assert content.keys() == {"multipart/form-data", "application/json"}
    form = resolve(document, content["multipart/form-data"]["schema"])
    assert form["properties"]["image"]["format"] == "binary"
    assert form["required"] == ["image"]
    assert "image_base64" in resolve(document, content["application/json"]["schema"])["properties"]


def test_forms_hold_null_only_where_they_hold_json(document: dict[str, Any]) -> None:
    forms = document["components"]["schemas"]
    for model in (PictureForm, BulkPicturesForm, PictureQueryForm):
        for name, field in forms[model.__name__]["properties"].items():
            takes_null = {"type": "null"} in field.get("anyOf", [])
            assert takes_null == (name in model.json_fields), (model, name)


@pytest.mark.parametrize("name", ["beach-042", "höhle 7", "a/b", "", "tab\t", "x" * 201])
def test_the_document_says_which_ids_there_can_be(document: dict[str, Any], name: str) -> None:
    [parameter] = document["paths"]["/images/{id}"]["get"]["parameters"]
    schema = parameter["schema"]
    fits = (
        schema["minLength"] <= len(name) <= schema["maxLength"]
        and re.search(schema["pattern"], name) is not None
    )
    assert fits == is_id(name)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = list(find(document, "$ref"))
    assert len(references) > 40
    for reference in references:
        resolve(document, {"$ref": reference})


def test_every_refusal_is_a_problem_document(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response["content"].keys() == {MEDIA_TYPE}, (method, path, status)
        if "requestBody" in operation:
            assert operation["responses"].keys() >= {"400", "413", "415", "422", "503"}
        if "{id}" in path and method != "put":
            assert "404" in operation["responses"], (method, path)


def test_every_field_that_a_client_sends_or_reads_is_described(document: dict[str, Any]) -> None:
    request = resolve(document, {"$ref": "#/components/schemas/TextQuery"})
    lacking = [n for n, schema in request["properties"].items() if "description" not in schema]
    assert lacking == []


def test_the_examples_are_accepted() -> None:
    schema = TextQuery.model_json_schema()["properties"]["query"]
    for example in schema["examples"]:
        assert TextQuery.model_validate({"query": example}).query == example


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    assert isinstance(found, dict)
    return found


def find(value: Any, key: str) -> list[str]:
    if isinstance(value, dict):
        own = [value[key]] if isinstance(value.get(key), str) else []
        return own + [hit for child in value.values() for hit in find(child, key)]
    if isinstance(value, list):
        return [hit for child in value for hit in find(child, key)]
    return []


def is_id(name: str) -> bool:
    try:
        check_id(name)
    except ValueError:
        return False
    return True
