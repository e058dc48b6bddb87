"""Checkpoints and graphs, read without MindSpore."""
