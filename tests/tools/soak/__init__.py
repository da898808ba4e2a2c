"""The whole system under mixed load and faults, for minutes instead of seconds."""
