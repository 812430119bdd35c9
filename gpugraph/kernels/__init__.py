"""CUDA sources and what lays out their arguments."""
