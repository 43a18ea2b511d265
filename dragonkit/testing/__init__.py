"""What plugin authors test with: small models, registries that see nothing installed, and the rules of plugins as one call.

    from dragonkit.testing import check_plugin

    def test_it_keeps_the_rules_of_plugins():
        check_plugin("dragonkit_rotate", [Rotate(mask=mask, degrees=30)])

Nothing here is downloaded, nothing needs a GPU, and everything takes seconds at most.
"""

from dragonkit.testing.conformance import check_plugin
from dragonkit.testing.gradients import check_gradient
from dragonkit.testing.isolated import isolated_registry, tiny_editor
from dragonkit.testing.tiny import tiny_pipeline

__all__ = ["check_gradient", "check_plugin", "isolated_registry", "tiny_editor", "tiny_pipeline"]
