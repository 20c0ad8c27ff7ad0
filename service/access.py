"""What a request needs a key for. Whatever isn't known here to only read needs one that may write.

The one place to look at when a route is added: a POST that only reads has to be named.
"""

from service.keys import Access

READING_METHODS = ("GET", "HEAD")
READING_POSTS = (
    *("/search/text-to-image", "/search/image-to-text"),
    *("/search/image-to-image", "/search/text-to-text", "/search/batch"),
    *("/v1/embeddings", "/rerank"),
)
# For probes, which have no key, and for what is the same in every installation.
OPEN_PATHS = ("/", "/healthz", "/readyz", "/docs", "/redoc", "/openapi.json")
OPEN_FOLDERS = ("/page/", "/static-offline-docs/")


def needed_access(method: str, path: str) -> Access | None:
    """What a key has to allow for a request; None where everybody may ask.

    >>> needed_access("GET", "/healthz"), needed_access("GET", "/images/a")
    (None, 'read')
    >>> needed_access("POST", "/rerank"), needed_access("POST", "/images")
    ('read', 'write')
    """
    if method in READING_METHODS:
        is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)
        return None if is_open else "read"
    if method == "POST" and path in READING_POSTS:
        return "read"
    return "write"
