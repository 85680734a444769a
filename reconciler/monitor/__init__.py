"""What a look comes to over time, and who is told."""
