"""The edit modes that come with dragonkit, each a plugin like anybody's: it uses no private access to the engine."""
