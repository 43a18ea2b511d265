"""Data sets of drags that others made."""
