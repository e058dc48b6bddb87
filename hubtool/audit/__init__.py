"""The whole registry against the world."""
