"""Whether requests are traced: when a variable of OpenTelemetry's says where spans go.

These variables are a standard, and OpenTelemetry's packages read them for themselves, so they are
no settings of ours. Without them nothing of the packages is imported.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.errors import StartError

if TYPE_CHECKING:
    from service.spans import Spans

PROTOCOL = "http/protobuf"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@contextmanager
def tracing() -> Iterator["Spans | None"]:
    """What makes spans and sends the last of them at the end; None when none are wanted.

    Raises StartError when they are wanted and OpenTelemetry's packages are missing, or in another
    protocol than OTLP over HTTP.
    """
    wanted = _first_set(ENDPOINTS)
    if wanted is None:
        yield None
        return
    protocol = _first_set(PROTOCOLS)
    if protocol is not None and os.environ[protocol] != PROTOCOL:
        raise StartError(f"{protocol}: expected {PROTOCOL}, not {os.environ[protocol]!r}")
    try:
        from service.spans import Spans
    except ModuleNotFoundError as error:
        raise StartError(
            f"{wanted} is set, but {error.name} is not installed; in Sightline's folder, "
            "pip install -c constraints.txt '.[traces]' installs it"
        ) from error
    spans = Spans()
    try:
        yield spans
    finally:
        spans.close()


def _first_set(names: Sequence[str]) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)
