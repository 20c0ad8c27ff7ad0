"""The service does what its OpenAPI document says, whatever a client sends."""

from pathlib import Path

import pytest

from tests.end_to_end.contract import hold_to_contract
from tests.helpers import ServerStarter


@pytest.mark.timeout(400)
def test_the_service_holds_to_its_document(start_server: ServerStarter, tmp_path: Path) -> None:
    held = hold_to_contract(start_server, tmp_path / "schemathesis", cases=5, seed=1)
    assert held.cases > 1500
    assert held.operations == 27
