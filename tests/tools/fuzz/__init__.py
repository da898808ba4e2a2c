"""Fuzzing of the engine: real files of every encoding, mutated."""
