"""Resolving: the facts about a card, this machine and whom the user trusts, and the decision that follows."""
