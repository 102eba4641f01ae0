"""Software execution of guest code: the interpreter, compiled regions, and the native runtime under both."""
