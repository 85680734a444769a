"""What hosts show that no environment file declares yet."""
