"""Isolation: the code of one model runs under a private name, and leaves nothing behind outside it."""
