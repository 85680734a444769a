"""What was intended and done, and what would undo it."""
