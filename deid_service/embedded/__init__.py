"""The embedded mode: PostgreSQL from a wheel and both services, with one command."""
