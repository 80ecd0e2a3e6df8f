"""The registry: releases with their evidence, and a transparency log of every decision.

- ``registry``: `Registry`, what it is asked and what it changes;
- ``submission``: what is handed in, and the receipt that is handed back;
- ``waivers``, ``decisions``: what people sign;
- ``entries``: the log's entries, and the tables that follow from them;
- ``merkle``, ``checkpoint``: the log's tree, and its signed heads;
- ``envelopes``: what signed envelopes and evidence say;
- ``store``, ``sql``: the storage interface, SQLite, and the one view in SQL; ``postgres``: the same in PostgreSQL;
- ``disk``, ``objects``: blobs in files and in S3-compatible storage; ``places``: where a registry keeps what;
- ``founding``, ``copies``: making a registry, and copying one;
- ``verification``, ``raw``: everything computed again from the raw storage;
- ``errors``: codes and exceptions.
"""
