"""ProfileService."""
