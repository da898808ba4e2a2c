"""What happens to data when processes, connections and disks fail."""
