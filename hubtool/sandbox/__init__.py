"""The sandbox for code that cards bring: usage blocks, checks and trials."""
