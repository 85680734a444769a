"""What a host shows that nobody declared."""
