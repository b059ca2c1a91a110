"""The generated part of the documentation: pages and tables made from the code and the documents."""
