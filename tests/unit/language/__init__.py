"""The profile language."""
