"""The laboratory: the one place where a node is run.

A sandboxed child process in which clock, entropy, environment, network, file system and upstream services are under
control, and every use of them is recorded. Read `record` first (what is asked and answered), then `laboratory`
(who runs what), `sandbox` (what the child can see), `kernel` (what the kernel tells), and `inside` (what runs in the
child).
"""
