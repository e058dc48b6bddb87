"""Known answers: what a network computes from values that a written rule gives, and how that is compared."""
