"""How people ask: the REST service, the command line and the web page. Knows model and index."""

__version__ = "0.1.0"
