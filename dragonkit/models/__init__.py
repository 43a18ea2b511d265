"""Named models: `cards` says what a model is and how to load it, `embedded` offers the ones dragonkit knows, `toybox-*` are weights."""
