"""What the tests and benchmarks of the engine share."""
