"""Tests of what a preview shows."""
