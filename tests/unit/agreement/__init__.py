"""Tests of the comparison with the reference engine."""
