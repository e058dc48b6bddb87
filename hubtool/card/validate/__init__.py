"""Checking and fixing many cards."""
