"""Tests of DeidService."""
