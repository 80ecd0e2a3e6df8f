"""Python generated from proved specs, and proved equal to them.

Knows nothing of nodes or registries. In reading order:

- `generate`: from proved specifications to the files of a package;
- `projection`: a machine without its ghosts, and how its state is stored; `patterns`: the shipped calling conventions;
- `printer` and `machine`: Python from the specification's expressions; `templates/` adds the calling convention;
- `validation`, `reading`, `shortcuts`: the text is read again and compared, as questions for solvers;
- `fusion`: several layers in one frame; `certificate`: what stands at the head of a file.
"""
