"""The sandbox for code that others wrote: usage blocks, checks of cards, and discovery."""
