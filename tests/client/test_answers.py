"""The client's answers are the service's, field for field: neither can change alone."""

import re
from typing import Any

import pytest

from service.app import create_app
from service.settings import Settings
from sightline_client import answers, collection, exchange, operations, searches
from sightline_client.searches import PictureOptions, TextOptions

# What says something of a value beyond its type; the service keeps to it, the client needn't.
BEYOND_THE_TYPE = {
    *("title", "description", "examples", "default", "minLength", "maxLength"),
    *("minimum", "maximum", "minItems", "maxItems", "enum", "const"),
}
DOCUMENT = create_app(Settings()).openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]


def referenced(value: Any) -> set[str]:
    """The names of the schemas that a part of the document refers to, and those refer to."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        match waiting.pop():
            case {"$ref": str(reference)}:
                name = reference.rpartition("/")[2]
                if name not in found:
                    found.add(name)
                    waiting.append(SCHEMAS[name])
            case dict(fields):
                waiting.extend(fields.values())
            case list(parts):
                waiting.extend(parts)
    return found


ANSWERED = sorted(
    referenced(
        [
            operation["responses"]
            for operations in DOCUMENT["paths"].values()
            for operation in operations.values()
        ]
    )
)


def type_of(schema: Any) -> Any:
    """A field's schema without what is beyond its type."""
    match schema:
        case {"$ref": str(reference)}:
            return reference.rpartition("/")[2]
        case dict(fields):
            return {
                name: type_of(value)
                for name, value in fields.items()
                if name not in BEYOND_THE_TYPE and (name, value) != ("additionalProperties", True)
            }
        case list(parts):
            return [type_of(part) for part in parts]
        case _:
            return schema


def test_every_answer_is_known() -> None:
    assert len(ANSWERED) >= 30
    assert [name for name in ANSWERED if not hasattr(answers, name)] == []


@pytest.mark.parametrize("name", ANSWERED)
def test_an_answer_has_the_same_fields_of_the_same_types(name: str) -> None:
    model = getattr(answers, name)
    of_client = model.model_json_schema(mode="serialization")
    of_service = SCHEMAS[name]
    assert {field: type_of(schema) for field, schema in of_client["properties"].items()} == {
        field: type_of(schema) for field, schema in of_service["properties"].items()
    }


@pytest.mark.parametrize("name", ANSWERED)
def test_the_client_demands_no_field_that_the_service_may_leave_out(name: str) -> None:
    demanded = {
        field.alias or key
        for key, field in getattr(answers, name).model_fields.items()
        if field.is_required()
    }
    assert demanded <= set(SCHEMAS[name].get("required", ()))


def test_no_answer_is_there_that_the_service_does_not_give() -> None:
    own = {
        name
        for name, value in vars(answers).items()
        if isinstance(value, type) and issubclass(value, answers.Answer)
    }
    assert own - {"Answer"} == set(ANSWERED)


def test_every_route_has_a_method() -> None:
    calls = [
        *(searches.text_to_image("a"), searches.text_to_text("a"), searches.batch([])),
        *(searches.image_to_text(b""), searches.image_to_image(b"")),
        *(collection.put_image("a", b""), collection.post_image(b""), collection.bulk_images([])),
        *(collection.get_image("a"), collection.thumbnail("a"), collection.list_images()),
        *(collection.patch_image_metadata("a", {}), collection.delete_image("a")),
        *(collection.put_text("a", "a"), collection.post_text("a"), collection.bulk_texts([])),
        *(collection.get_text("a"), collection.list_texts(), collection.tags()),
        *(collection.patch_text_metadata("a", {}), collection.delete_text("a")),
        *(exchange.embeddings("a"), exchange.rerank("a", [])),
        *(operations.stats(), operations.health(), operations.readiness(), operations.metrics()),
    ]
    asked = {
        (call.method, re.sub(r"^/(images|texts)/a\b", r"/\1/{id}", call.path)) for call in calls
    }
    routes = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert asked == routes


def test_every_search_option_is_known() -> None:
    of_text, of_picture = SCHEMAS["TextQuery"], SCHEMAS["PictureQuery"]
    assert {*TextOptions.__annotations__, "query"} == set(of_text["properties"])
    assert {*PictureOptions.__annotations__, "image_id", "image_base64"} == set(
        of_picture["properties"]
    )
