"""Schemathesis loads this: what its own checks don't know about this service."""

import re
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation

from service.fields import TEXT_SCHEMA

# How it tells of a text; ids and cursors have other patterns, and other names.
BROKEN_PATTERN = re.compile(
    r"violates `pattern` at /properties/(?:query|exclude|captions/items|text) .*became \"(.*)\"\)",
    re.DOTALL,
)
FORM = "multipart/form-data"
ITEM_BY_ITEM = ("bulk_texts", "bulk_images", "batch")


@schemathesis.check
def wrong_items_are_refused_one_by_one(ctx: CheckContext, response: Response, case: Case) -> None:
    """Wherever a request of many items is wrong and answered, one of its items is refused."""
    body = None if case.meta is None else case.meta.components.get(ParameterLocation.BODY)
    is_wrong = body is not None and body.mode is GenerationMode.NEGATIVE
    if (
        is_wrong
        and response.status_code == 200
        and case.operation.definition.raw.get("operationId") in ITEM_BY_ITEM
    ):
        statuses = [item["status"] for item in response.json()["items"]]
        assert max(statuses) >= 400, f"wrong items were accepted: {statuses}"


@schemathesis.check
def a_busy_service_says_when_to_come_back(
    ctx: CheckContext, response: Response, case: Case
) -> None:
    """RFC 9110, section 15.6.4."""
    assert response.status_code != 503 or "retry-after" in response.headers


@schemathesis.hook
def filter_failure(context: HookContext, failure: Any, case: Case, response: Response) -> bool:
    """What is no failure, though Schemathesis takes it for one.

    In a form all values are words, and one word for `captions` is the same as a list of it. And
    what it means to break a pattern with sometimes fits it: `0*` holds no less than `0` a
    character that is no white space, which is all that a text needs.
    """
    if not isinstance(failure, AcceptedNegativeData):
        return True
    broken = BROKEN_PATTERN.search(failure.message)
    if broken is not None and re.search(TEXT_SCHEMA["pattern"], broken[1]):
        return False
    one_word = isinstance(case.body, dict) and not isinstance(case.body.get("captions", []), list)
    return not (case.media_type == FORM and one_word)
