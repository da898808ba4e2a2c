"""Unit tests: no database, no sockets."""
