/* The program that `make demo` runs: a picture in floating point, primes in integers, and a word about itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

enum { WIDTH = 76, HEIGHT = 23, TURNS = 150000, LIMIT = 20000000 };

/* How many turns z*z + c takes to leave the circle of radius 2. */
static int turns(double x, double y) {
    double a = 0, b = 0;
    int n = 0;
    while (n < TURNS && a * a + b * b < 4) {
        double next = a * a - b * b + x;
        b = 2 * a * b + y;
        a = next;
        n++;
    }
    return n;
}

static void picture(void) {
    static const char shades[] = " .,:;i1tfLCG08@";
    char line[WIDTH + 1];
    for (int row = 0; row < HEIGHT; row++) {
        for (int column = 0; column < WIDTH; column++) {
            int n = turns(-2.2 + 3.2 * column / WIDTH, -1.2 + 2.4 * row / (HEIGHT - 1));
            int shade = 0;
            if (n == TURNS) shade = sizeof shades - 2;
            else
                for (; n > 1 && shade < (int)sizeof shades - 3; n /= 2) shade++;
            line[column] = shades[shade];
        }
        line[WIDTH] = 0;
        puts(line);
    }
}

static int primes(void) {
    char *composite = calloc(LIMIT, 1);
    int count = 0;
    if (!composite) return -1;
    for (long i = 2; i < LIMIT; i++) {
        if (composite[i]) continue;
        count++;
        for (long j = i * i; j < LIMIT; j += i) composite[j] = 1;
    }
    free(composite);
    return count;
}

int main(int argc, char **argv) {
    struct utsname host;
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    picture();
    printf("primes below %d: %d\n", LIMIT, primes());
    if (uname(&host) == 0) printf("%s, with %d argument(s), believes to run on %s %s\n", name, argc - 1, host.sysname, host.machine);
    return 0;
}
