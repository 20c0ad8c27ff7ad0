"""What the service tells about itself."""

from sightline_client.answers import Health, Readiness, Stats
from sightline_client.call import Call, model_reader, read_text


def stats() -> Call[Stats]:
    """Counts, sizes, and how busy the service is."""
    return Call("GET", "/stats", model_reader(Stats))


def health() -> Call[Health]:
    """Whether the process is up."""
    return Call("GET", "/healthz", model_reader(Health))


def readiness() -> Call[Readiness]:
    """Whether model and index are loaded, and what they run on."""
    return Call("GET", "/readyz", model_reader(Readiness))


def metrics() -> Call[str]:
    """What is measured while it serves, in Prometheus's text format."""
    return Call("GET", "/metrics", read_text)
