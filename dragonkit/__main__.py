"""`python -m dragonkit`: the same as the command `dragonkit`."""

from __future__ import annotations

from dragonkit.cli import main

if __name__ == "__main__":
    main()
