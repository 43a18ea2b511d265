"""What the hand holds: each tool takes down, move, up, leave and key, and changes a `MarkState`. No widget."""
