/* status N: exits with N. status signal N: dies of signal N. status trap: dies of an illegal instruction. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "signal")) {
        raise(atoi(argv[2]));
        return 111; /* the signal was ignored */
    }
    if (argc == 2 && !strcmp(argv[1], "trap")) __builtin_trap();
    if (argc == 2 && !strcmp(argv[1], "abort")) abort();
    return argc == 2 ? atoi(argv[1]) : 0;
}
