"""Linux user mode: one guest process with its threads, signals, files and system calls, on a Linux host."""
