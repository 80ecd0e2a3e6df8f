"""The front end: the supported part of Lean's source language, read and elaborated into kernel terms.

What to read first: `lexer` and `parser` give the `syntax`. `elaborate` turns terms into kernel terms; `application`
finds implicit arguments with the help of `unify`. `matching` compiles pattern matching to recursors, `equations` solves
the indices. `commands` runs a file, `inducting` declares types. The kernel judges all that comes out.
"""
