"""Developers' tools: each has its command in `dev`."""
