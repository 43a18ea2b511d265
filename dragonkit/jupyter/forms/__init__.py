"""The fields of an edit mode as controls, made from its schema."""
