"""What runs inside the sandbox.

`supervisor` is the first process there: it forks one process for every delivery (`call`), one for the simulated
upstreams (`upstream`), prepares and describes worlds (`world`), and reports to the laboratory. `watching` observes the
node from within its own process; `tape` is the memory through which a process that may die at any moment leaves its
account; `compiled` has the node's files, and the methods of its data classes, compiled once for all of them.

Nothing here is trusted by the laboratory beyond what is said in SECURITY.md: a node shares its process with `call` and
`watching`, and only the kernel's account (`certify.laboratory.kernel`) is out of its reach.
"""
