"""The engine: tensors only.

`backbone` wraps a pipeline, `ddim` is the schedule's arithmetic, `inversion` makes a trajectory, `sampling` is the loop that edits one.
"""
