"""Contract tests: real channels to real servers."""
