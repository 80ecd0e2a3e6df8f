"""The front end: the supported part of Lean's source language, read and elaborated into kernel terms.

What to read first: `lexer` and `parser` give the `syntax`; `elaborate` turns terms into kernel terms with the help of
`unify`; `match` compiles pattern matching to recursors; `commands` runs a file. The kernel judges all that comes out.
"""
