"""Tasks with known answers, and how well a result meets them."""
