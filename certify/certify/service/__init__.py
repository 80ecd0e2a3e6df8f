"""The registry's service: a thin rim of HTTP over the registry's core.

- ``service``: `Service`, what every request has at hand; ``settings``: how it runs;
- ``app``: the ASGI application; ``routing``: its table of addresses; ``web``: requests and endpoints;
- ``api``: every address, by what it is about; ``openapi``: the document; ``answers``, ``errors``: what refusals become;
- ``access``: who may do what; ``identity``: who is there; ``known``: who was recognised a moment ago;
- ``desk``: threads between the event loop and the registry; ``drafts``: compare-and-swap and merging;
- ``uploads``, ``bundles``: evidence in and out; ``events``: live changes; ``admission``: how much is taken on;
- ``pages``: the review pages; ``standing``: may a release go to production;
- ``reading``: what pages and the API read; ``metrics``, ``logs``: what is measured and said.
"""
