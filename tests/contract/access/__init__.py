"""Who may do what, over real channels."""
