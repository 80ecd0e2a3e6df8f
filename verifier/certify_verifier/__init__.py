"""Proof obligations and the engines that decide them.

Knows nothing of templates, nodes or registries. In reading order:

- `verify`: everything that a specification claims, decided;
- `verdict`: what may be concluded; `counterexample`: how it is explained;
- `obligation`, `progress`, `refinement`: what is to be proved, as SMT-LIB text;
- `encoding` and `terms`: the symbolic reading of the language;
- `search`: the shortest run that ends in something;
- `solving`: solvers in processes with hard limits; `cache`: answers kept between runs;
- `lean`: an independent kernel for Lean proofs.
"""
