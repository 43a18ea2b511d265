"""The parts of the editor round the picture."""
