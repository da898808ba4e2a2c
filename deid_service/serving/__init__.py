"""The service: its stream, its processes, and how it finds the profile of a stream."""
