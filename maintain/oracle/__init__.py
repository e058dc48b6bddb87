"""The oracle: what the authors' own code computes, recorded so that a recipe's network can be compared with it."""
