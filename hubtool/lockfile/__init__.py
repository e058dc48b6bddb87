"""The lockfile ``hub.lock``: its format, and what a card must be where one is in force."""
