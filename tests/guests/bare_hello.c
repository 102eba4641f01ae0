/* Hello without a C library: two syscalls and nothing else. */
#include "bare.h"

int main(int argc, char **argv) {
    put("Hello, bare world!\n");
    for (int i = 1; i < argc; i++) {
        put(argv[i]);
        put("\n");
    }
    return 0;
}
