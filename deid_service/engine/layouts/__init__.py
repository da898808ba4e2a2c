"""What the files of a series have in common, learned from the first of them."""
