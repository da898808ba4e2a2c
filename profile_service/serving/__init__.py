"""What a service needs to run as processes, whatever it serves."""
