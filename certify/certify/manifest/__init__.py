"""The node's manifest, `node.toml`.

- `model` — what a manifest holds; `schema` — the same as JSON Schema;
- `loader` — reads one, or says everything that is wrong with it; `rules` — its codes; `consistency`, `files`,
  `errors` — the judges; `positions` — where everything stands in the text;
- `paths` — names of fields within an input or an output;
- `scaffold` — writes a first manifest from a function's signature; `example` — and a first input.
"""
