"""An organisation's policy: Cedar and settings (`policies`), one evaluator (`evaluation`), and `waivers`."""
