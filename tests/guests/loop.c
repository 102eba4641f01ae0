/* An endless loop of one block; with an argument, SIGALRM ends it after that many milliseconds. */
#include <stdlib.h>
#include <sys/time.h>

int main(int argc, char **argv) {
    if (argc > 1) {
        long ms = atol(argv[1]);
        struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};
        setitimer(ITIMER_REAL, &timer, NULL);
    }
    for (;;) __asm__ volatile("");
}
