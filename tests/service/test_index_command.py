"""`sightline index`: what it takes, what it leaves out, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.helpers import jpeg, wait_until
from tests.scripted import Scripted

NOT_FOUND = {
    "type": "urn:sightline:problem:not-found",
    "title": "There is no such item",
    "status": 404,
    "detail": "no picture has this id",
}
UNKNOWN = (404, {}, json.dumps(NOT_FOUND).encode())


def test_ctrl_c_does_not_wait_for_a_service(tmp_path: Path, scripted: Scripted) -> None:
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    scripted.answers = [UNKNOWN] * 8
    scripted.seconds = 60
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "index", str(tmp_path), "--url", scripted.url],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: len(scripted.asked) >= 4, 60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=5)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert err.endswith("sightline: stopped; what was stored stays\n")
    assert "Traceback" not in err
