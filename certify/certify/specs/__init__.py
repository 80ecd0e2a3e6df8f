"""What people read of proofs: verdicts with their reasons, counterexamples as stories, and the views of both.

Rules this package keeps:

- nothing is judged here: verdicts are the verifier's, and a story shows a run that the interpreter has replayed;
- views are pure functions from verified machines to text: the command line prints and writes;
- *proved*, *proved up to a bound*, *refuted*, *not inductive*, *vacuous* and *undecided* stay apart in every view.

In reading order: `engine` verifies one machine with bounded workers; `explain` says what each verdict means; `story` is
a counterexample as steps; `tables`, `json_view`, `markdown`, `sarif`, `junit` and `html` (with `diagram`) show them;
`pytest_file` writes a counterexample as a test, which `replay` runs; `smt` names the exported obligations; `script`
reads the scripts of simulations.
"""
