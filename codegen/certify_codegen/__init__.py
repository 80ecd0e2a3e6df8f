"""Python generated from proved specs."""
