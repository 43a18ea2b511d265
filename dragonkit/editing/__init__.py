"""From edits to a picture: plan, sample, finish. `editor` is where to start reading."""
