"""Who calls, and what they may do: pure functions and data, no I/O."""
