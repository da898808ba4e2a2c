"""The walk over a data set, element by element."""
