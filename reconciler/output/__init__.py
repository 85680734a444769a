"""What is printed or written."""
