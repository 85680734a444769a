"""Hosts: connections, looks, and apply."""
