"""Version 1 of the contract. The .proto files here describe every message and field."""
