"""Who approved what, and whether that is what would run."""
