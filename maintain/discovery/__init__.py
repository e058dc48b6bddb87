"""Discovery: finding the recipe of a card by running the code behind it, for maintainers, each in its own process."""
