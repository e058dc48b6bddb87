"""What differs between two cards: their texts, tensors and code."""
