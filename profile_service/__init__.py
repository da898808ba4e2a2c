"""The hierarchy of containers, their de-identification profiles, and the cascade."""
