/* Escape times of the Mandelbrot set in double: a short dependent loop with a data-dependent exit. argv[1]: width. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int size = argc > 1 ? atoi(argv[1]) : 16;
    uint64_t hash = 0;
    for (int row = 0; row < size; row++)
        for (int column = 0; column < size; column++) {
            double cr = 3.0 * column / size - 2.0, ci = 2.0 * row / size - 1.0, zr = 0, zi = 0;
            uint32_t n = 0;
            while (n < 200 && zr * zr + zi * zi <= 4.0) {
                double t = zr * zr - zi * zi + cr;
                zi = 2.0 * zr * zi + ci;
                zr = t;
                n++;
            }
            hash = hash * 31 + n;
        }
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
