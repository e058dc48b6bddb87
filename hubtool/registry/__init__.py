"""Registries: sets of cards, and where they come from."""
