"""The lowest floor: diagnostics that every floor speaks in, and the `.ct` language.

Knows nothing of solvers, templates, nodes or registries. In reading order:

- `loader`: from a file to a checked `model.Specification`, with every mistake at once;
- `model` and `datatypes`: the typed tree, which every reader works from;
- `evaluate` and `interpreter`: the reference meaning, in plain Python, and `simulate`;
- `formatter`: one way to lay a file out;
- `tokens`, `grammar.lark`, `parser`, `syntax`, `checker`: how the text becomes the typed tree;
- `rules`: the diagnostic codes; `diagnostics`: the form of every error.
"""
