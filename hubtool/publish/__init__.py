"""Publishing: writing a card, laying it out, and proving what it says, before others rely on it."""
