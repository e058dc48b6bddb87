"""Pinning: make lockfiles, download what they pin, and check them against the registries."""
