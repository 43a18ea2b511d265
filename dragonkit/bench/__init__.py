"""What edits are worth: tasks with known answers, run and judged.

`outcomes` does one task, `refinements` compares settings over many.
"""
