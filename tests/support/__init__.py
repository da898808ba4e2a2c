"""What tests of several parts share: databases and running services."""
