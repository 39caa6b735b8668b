"""The OpenAPI document of the HTTP API. It is made when the docs are, and is not deployed."""
