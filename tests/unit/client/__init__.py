"""The parts of the upload client that can be seen without a service."""
