"""Facts on the cards: what goes in and out of a network and how, from the vocabularies and the authors' own code."""
