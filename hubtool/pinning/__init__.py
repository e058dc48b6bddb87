"""Pinning: making locks, bringing what they pin, and comparing."""
