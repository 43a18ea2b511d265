"""How a toybox scene is drawn: shapes from signed distances, objects from shapes, scenes from objects."""
