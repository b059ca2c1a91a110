"""The generated parts of `docs/`: pages and tables made from the code and the OpenAPI documents."""
