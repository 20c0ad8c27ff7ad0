"""Schemathesis loads this: what its own checks don't know about this service."""

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation

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
    """In a form all values are words, and one word for `captions` is the same as a list of it."""
    return not (
        isinstance(failure, AcceptedNegativeData)
        and case.media_type == FORM
        and isinstance(case.body, dict)
        and not isinstance(case.body.get("captions", []), list)
    )
