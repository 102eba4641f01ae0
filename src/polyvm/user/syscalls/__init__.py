"""System calls: one declaration each in `table`, and a module of Python functions per family."""
