"""`dragonkit bench ...`: `app` has toybox, paper and selectors; the others have a module each."""
