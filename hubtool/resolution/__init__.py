"""Resolving: finding a card, gathering the facts about it on this machine, and the decision that follows."""
