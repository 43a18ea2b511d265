"""The engine: tensors only.

`backbone` says what a model must give and `stable_diffusion` is one, `schedule` has the noise levels, `inversion` makes a trajectory,
`sampling` is the loop that edits one.
"""
