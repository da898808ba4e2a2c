"""Outputs of the engine, opened with the readers that others use."""
