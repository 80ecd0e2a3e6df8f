"""Certify: nothing enters the registry without evidence that anyone can check again.

The package's table of contents:

- ``manifest``: what a node says of itself (`node.toml`);
- ``capabilities``: the context through which a node is meant to touch the world;
- ``laboratory``: runs a node in a sandbox and records what it did;
- ``analysis``: what a node's text says that it can do;
- ``checks``: one module per check, each judging records;
- ``evidence``: verdicts as values, canonical bytes, signatures;
- ``policy``: the organisation's rules, in Cedar;
- ``registry``: store, transparency log, verification;
- ``service``: the registry over HTTP;
- ``report``: views of the evidence;
- ``conformance``: which properties other people's resilience code keeps;
- ``cli``: the command line.

Importing this module imports nothing else: a sandboxed node pays only for what it uses.
"""

__version__ = "0.1.0"
