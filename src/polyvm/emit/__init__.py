"""From ops to code: text for compilers, and the text of the native runtime for each host."""
