"""Graphs made of a graph: parts, quotients, null models, other weights."""
