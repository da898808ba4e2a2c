"""The contract of deid-cascade, as generated stubs."""
