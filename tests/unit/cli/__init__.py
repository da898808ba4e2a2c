"""The parts of the command that can be seen without a process of their own."""
