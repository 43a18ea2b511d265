"""How the embedded model is made.

`recipe` says what, `fit` runs a stage, `autoencoder` and `denoiser` are the stages, `export` writes the folder.
"""
