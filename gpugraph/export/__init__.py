"""The graph in other libraries' forms and in files."""
