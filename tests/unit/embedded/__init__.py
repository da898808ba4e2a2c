"""The parts of the embedded mode that can be seen without a process of their own."""
