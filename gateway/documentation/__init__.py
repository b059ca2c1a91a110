"""The generated part of `docs/`: pages and tables made from the code and the documents."""
