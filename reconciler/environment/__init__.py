"""The environment file: read, checked, written."""
