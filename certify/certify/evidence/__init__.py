"""Evidence: verdicts as values, canonical bytes, signatures.

The package's table of contents:

- ``verdict``: what a check concluded;
- ``bundle``: all that one certification rests on, as one value with one digest; with its blobs and its signature;
- ``statement``: the in-toto statement that is signed;
- ``dsse``: the envelope around it;
- ``keys``: Ed25519 keys in files;
- ``sbom``: the CycloneDX document; ``installed``: where modules come from; ``dependencies``: imported against declared;
- ``errors``, ``forms``, ``strict_json``: codes, and strict reading.
"""
