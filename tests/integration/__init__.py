"""Integration tests: databases, processes and faults."""
