/* Five bodies under gravity, leapfrog steps: multiplies, divisions and square roots in double. argv[1]: thousands
 * of steps. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODIES = 5 };
static struct body {
    double x, y, z, vx, vy, vz, mass;
} body[BODIES] = {
    {0, 0, 0, 0, 0, 0, 39.5},
    {4.8, -1.2, -0.1, 0.6, 2.8, -0.02, 0.038},
    {8.3, 4.1, -0.4, -1.0, 1.8, 0.008, 0.011},
    {12.9, -15.1, -0.2, 1.1, 0.87, -0.01, 0.0017},
    {15.4, -25.9, 0.18, 0.98, 0.59, -0.03, 0.002},
};

static void step(double dt)
{
    for (int i = 0; i < BODIES; i++) {
        struct body *p = &body[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *q = &body[j];
            double dx = p->x - q->x, dy = p->y - q->y, dz = p->z - q->z;
            double d2 = dx * dx + dy * dy + dz * dz;
            double pull = dt / (d2 * sqrt(d2));
            p->vx -= dx * q->mass * pull, p->vy -= dy * q->mass * pull, p->vz -= dz * q->mass * pull;
            q->vx += dx * p->mass * pull, q->vy += dy * p->mass * pull, q->vz += dz * p->mass * pull;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        struct body *p = &body[i];
        p->x += dt * p->vx, p->y += dt * p->vy, p->z += dt * p->vz;
    }
}

int main(int argc, char **argv)
{
    long steps = (argc > 1 ? atol(argv[1]) : 1) * 1000;
    uint64_t hash = 0, bits;
    for (long n = 0; n < steps; n++)
        step(0.001);
    for (int i = 0; i < BODIES; i++) {
        const double all[3] = {body[i].x, body[i].y, body[i].vz};
        for (int k = 0; k < 3; k++) {
            memcpy(&bits, &all[k], 8);
            hash = hash * 31 + bits;
        }
    }
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
