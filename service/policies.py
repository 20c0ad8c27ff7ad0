"""What a browser may do with an answer: one policy for the page, one for the documentation, and
one for data, which is not to be run, framed or loaded by anybody.
"""

import base64
import hashlib
import re

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        f"{feature}=()"
        for feature in (
            *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media"),
            *("fullscreen", "geolocation", "gyroscope", "hid", "magnetometer", "microphone"),
            *("midi", "payment", "serial", "usb", "xr-spatial-tracking"),
        )
    ),
}
ALONE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
DATA_POLICY = f"default-src 'none'; {ALONE}"
# blob: for photos that aren't sent yet, and for pictures fetched with a key.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    f"img-src 'self' blob:; connect-src 'self'; {ALONE}"
)
PAGE_FOLDER = "/page/"


def policy_for(path: str) -> str:
    """The policy of what is at a path; the documentation pages bring their own."""
    return PAGE_POLICY if path == "/" or path.startswith(PAGE_FOLDER) else DATA_POLICY


# Swagger UI has pictures in its style sheet. ReDoc also makes its style sheets as it goes, and
# searches in a worker made from a blob. They show nothing that a user uploaded.
SWAGGER_UI_NEEDS = "style-src 'self'"
REDOC_NEEDS = "style-src 'self' 'unsafe-inline'; worker-src blob:"


def documentation_policy(html: str, needs: str) -> str:
    """The policy of a documentation page, whose inline script is known by its hash.

    needs: further directives.
    """
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    known = "".join(f" '{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src 'self'{known}; img-src 'self' data:; connect-src 'self'; "
        f"{needs}; {ALONE}"
    )


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"sha256-{digest}"
