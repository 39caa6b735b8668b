"""The HTTP API. Imported only when an HTTP request comes."""
