"""The paths of the API, one module per tag of the OpenAPI document."""
