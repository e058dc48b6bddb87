"""The model-hub registry and asset manager for MindSpore."""

__version__ = "0.1.0"
