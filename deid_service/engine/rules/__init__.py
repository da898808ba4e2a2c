"""What the rules of a profile do to elements and their values."""
