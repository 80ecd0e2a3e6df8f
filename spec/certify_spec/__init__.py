"""The lowest floor: diagnostics that every floor speaks in, and the `.ct` language.

Knows nothing of solvers, templates, nodes or registries.
"""
