"""Desired and observed in, ordered actions out."""
