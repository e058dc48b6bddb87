"""Resolution: find a card, gather the facts about it on this machine, and decide how it loads."""
