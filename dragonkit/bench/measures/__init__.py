"""What is measured of a result with a known answer."""
