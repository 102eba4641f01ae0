/* Prints one line through stdio. */
#include <stdio.h>

int main(void) {
    printf("Hello from %s, %d bits!\n",
#if defined(__riscv)
           "riscv64",
#elif defined(__aarch64__)
           "aarch64",
#else
           "x86_64",
#endif
           (int)sizeof(void *) * 8);
    return 0;
}
