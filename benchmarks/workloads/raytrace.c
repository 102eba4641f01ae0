/* Spheres over a plane, one light, mirrors three deep, in double: branches between short runs of arithmetic.
 * argv[1]: width of the picture. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct vec {
    double x, y, z;
};
static struct vec add(struct vec a, struct vec b) { return (struct vec){a.x + b.x, a.y + b.y, a.z + b.z}; }
static struct vec sub(struct vec a, struct vec b) { return (struct vec){a.x - b.x, a.y - b.y, a.z - b.z}; }
static struct vec scale(struct vec a, double k) { return (struct vec){a.x * k, a.y * k, a.z * k}; }
static double dot(struct vec a, struct vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static struct vec unit(struct vec a) { return scale(a, 1 / sqrt(dot(a, a))); }

enum { SPHERES = 9 };
static struct sphere {
    struct vec centre;
    double radius, mirror, shade;
} sphere[SPHERES];

static int nearest(struct vec from, struct vec ray, double *distance)
{
    int hit = -1;
    for (int i = 0; i < SPHERES; i++) {
        struct vec to = sub(sphere[i].centre, from);
        double along = dot(to, ray), off = dot(to, to) - along * along, r2 = sphere[i].radius * sphere[i].radius;
        if (off > r2)
            continue;
        double depth = sqrt(r2 - off), d = along - depth;
        if (d < 1e-6)
            d = along + depth;
        if (d > 1e-6 && d < *distance)
            *distance = d, hit = i;
    }
    return hit;
}

static double trace(struct vec from, struct vec ray, int depth)
{
    const struct vec light = {0.48, 0.8, -0.36};
    double distance = 1e30, mirror, shade;
    struct vec normal, point;
    int hit = nearest(from, ray, &distance);
    if (hit < 0 && ray.y >= -1e-9)
        return 0.3 + 0.5 * ray.y;
    if (hit < 0 || (ray.y < 0 && -from.y / ray.y < distance && -from.y / ray.y > 1e-6)) {
        if (ray.y >= 0)
            return 0.3;
        point = add(from, scale(ray, -from.y / ray.y));
        normal = (struct vec){0, 1, 0};
        mirror = 0.2;
        shade = ((long)floor(point.x) + (long)floor(point.z)) & 1 ? 0.9 : 0.2;
    } else {
        point = add(from, scale(ray, distance));
        normal = unit(sub(point, sphere[hit].centre));
        mirror = sphere[hit].mirror, shade = sphere[hit].shade;
    }
    double lit = dot(normal, light), far = 1e30;
    if (lit < 0 || nearest(point, light, &far) >= 0)
        lit = 0;
    double value = shade * (0.1 + 0.9 * lit);
    if (depth > 0 && mirror > 0)
        value += mirror * trace(point, sub(ray, scale(normal, 2 * dot(ray, normal))), depth - 1);
    return value;
}

int main(int argc, char **argv)
{
    int width = argc > 1 ? atoi(argv[1]) : 8;
    uint64_t hash = 0;
    for (int i = 0; i < SPHERES; i++)
        sphere[i] = (struct sphere){{i % 3 * 2.2 - 2.2, 0.6 + 0.3 * (i % 4), 4 + i / 3 * 2.1},
                                    0.6 + 0.1 * (i % 5), 0.1 * (i % 6), 0.3 + 0.07 * i};
    for (int row = 0; row < width; row++)
        for (int column = 0; column < width; column++) {
            struct vec ray = {(column + 0.5) / width - 0.5, 0.5 - (row + 0.5) / width, 0.9};
            double value = trace((struct vec){0, 1.5, -2}, unit(ray), 3);
            hash = hash * 31 + (uint64_t)(value * 65536);
        }
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
