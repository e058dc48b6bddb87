"""Registries as static files: their index, writing them, and reading them over HTTP(S)."""
