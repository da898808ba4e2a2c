"""What is around the data set of a file: the file meta, deflate, a directory, its name."""
