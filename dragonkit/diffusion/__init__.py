"""The engine: tensors only.

`backbone` says what a model must give and `stable_diffusion` is one, `schedule` has the noise levels, `inversion` makes a trajectory,
`sampling` is the loop that edits one.
"""

import logging
import os

if not os.environ.get("XFORMERS_MORE_DETAILS"):
    # an xformers that does not fit says so in six lines whenever diffusers imports it; `kernels` finds out, and `dragonkit doctor` tells
    logging.getLogger("xformers").addFilter(lambda record: not record.getMessage().startswith("WARNING[XFORMERS]"))
