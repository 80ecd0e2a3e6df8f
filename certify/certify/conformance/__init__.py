"""Conformance: which of the properties P1 to P12 a resilience library keeps, whoever wrote it.

The table of contents:

- ``adapters``: what a user writes; ``settings``: what an adapter is asked to build;
- ``clock``, ``threads``, ``tasks``: time and concurrency under control;
- ``steps``, ``driving``: scripts, and the stage on which they are played;
- ``monitors``: what a run must be;
- ``breakers``, ``calls``, ``catalogue``: the scenarios; ``judging``: what a library makes of one, and shrinking;
- ``verdicts``: what is said; ``inside``: the child process; ``running``: the parent; ``view``: tables.
"""
