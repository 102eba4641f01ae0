/* Doubly recursive Fibonacci: calls, returns and the stack, little else. argv[1]: n. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static uint64_t fib(uint64_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
    printf("checksum %llu\n", (unsigned long long)fib(argc > 1 ? strtoull(argv[1], 0, 10) : 10));
    return 0;
}
