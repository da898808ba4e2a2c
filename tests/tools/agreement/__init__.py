"""Agreement with the reference engine of the profile language, element by element."""
