"""Pictures and masks: reading, geometry, warps. Only `lookup` imports torch."""
