"""The picture that is drawn on: the only part that knows ipycanvas."""
