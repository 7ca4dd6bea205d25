"""`linuxmm live`: random system calls on the kernel at hand, every result judged."""
