"""What is measured, as ratios to peers in the same run."""
