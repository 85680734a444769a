"""What looks find over time, and who is notified of it."""
