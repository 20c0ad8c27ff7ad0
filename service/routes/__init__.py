"""One file a part of the REST contract; each route parses, calls one function, returns a schema."""
