"""The vocabulary: data model, problems, adapter interface, ports. Imports no other package of Jobgate."""
