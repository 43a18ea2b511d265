"""`dragonkit bench ...`: one module a command."""
