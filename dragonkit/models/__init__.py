"""Named models: `loading` goes from a name to a backbone, `embedded` offers the ones dragonkit knows, `toybox-*` are weights."""
