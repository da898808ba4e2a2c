"""Tests of what identifies people, and of texts without them."""
