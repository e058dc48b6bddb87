"""Pinning: making lockfiles, bringing what they pin, and comparing."""
