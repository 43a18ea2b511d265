"""What is marked on a picture: the state, its undo, and the outlines in which it is shown. No widget."""
