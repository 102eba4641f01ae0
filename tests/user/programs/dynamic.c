/* A program that asks for a dynamic linker, and needs nothing of it. */
#include "bare.h"

__attribute__((section(".interp"), used, retain)) static const char linker[] = "/lib/ld-polyvm-test.so.1";

int main(int argc, char **argv) {
    put("Hello, ");
    put(argv[argc - 1]);
    put("\n");
    return 0;
}
