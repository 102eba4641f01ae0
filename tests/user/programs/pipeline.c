/* A small shell in one program: `pipeline COMMAND | COMMAND ...` joins stages by pipes, fork and exec. A stage is one of
 * its own tools, which it runs by executing itself, or a program of the host. Foreground job control by process group. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int numbers(int argc, char **argv) {
    for (long i = 1, last = argc > 1 ? atol(argv[1]) : 10; i <= last; i++)
        if (printf("%ld\n", i * 7919 % 10007) < 0) return 1;
    return fflush(stdout) != 0;
}
static int by_value(const void *a, const void *b) {
    long x = atol(*(char **)a), y = atol(*(char **)b);
    return x < y ? -1 : x > y;
}
static int order(int argc, char **argv) {
    size_t count = 0, room = 0;
    char **lines = NULL, *line = NULL;
    size_t size = 0;
    (void)argc, (void)argv;
    while (getline(&line, &size, stdin) >= 0) {
        if (count == room) lines = realloc(lines, (room = room * 2 + 64) * sizeof *lines);
        lines[count++] = strdup(line);
    }
    qsort(lines, count, sizeof *lines, by_value);
    for (size_t i = 0; i < count; i++) fputs(lines[i], stdout);
    return 0;
}
static int first(int argc, char **argv) {
    char line[4096];
    for (long i = argc > 1 ? atol(argv[1]) : 10; i > 0 && fgets(line, sizeof line, stdin); i--) fputs(line, stdout);
    return 0;
}
static int upper(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int c; (c = getchar()) != EOF;) putchar(toupper(c));
    return 0;
}
struct part { const char *text; size_t size; unsigned long sum; };
static void *add(void *argument) {
    struct part *part = argument;
    for (size_t i = 0; i < part->size; i++) part->sum += (unsigned char)part->text[i] * (i % 251 + 1);
    return NULL;
}
static int total(int argc, char **argv) { /* sums its input with four threads */
    static char text[1 << 20];
    size_t size = 0, got;
    (void)argc, (void)argv;
    while ((got = fread(text + size, 1, sizeof text - size, stdin)) > 0) size += got;
    pthread_t threads[4];
    struct part parts[4];
    unsigned long sum = 0;
    for (int i = 0; i < 4; i++) {
        parts[i] = (struct part){text + size * i / 4, size * (i + 1) / 4 - size * i / 4, 0};
        pthread_create(&threads[i], NULL, add, &parts[i]);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL), sum += parts[i].sum;
    printf("%zu bytes, sum %lu\n", size, sum);
    return 0;
}
static const struct { const char *name; int (*run)(int, char **); } TOOLS[] = {
    {"numbers", numbers}, {"order", order}, {"first", first}, {"upper", upper}, {"total", total},
};

static volatile sig_atomic_t ended;
static void child_ended(int number) { (void)number; ended++; }

int main(int argc, char **argv) {
    for (size_t i = 0; argc && i < sizeof TOOLS / sizeof *TOOLS; i++)
        if (!strcmp(argv[0], TOOLS[i].name)) return TOOLS[i].run(argc, argv);
    struct sigaction action = {.sa_handler = child_ended, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    int input = 0, count = 0, last = -1;
    char **stage = argv + 1;
    while (*stage) {
        char **end = stage;
        while (*end && strcmp(*end, "|")) end++;
        int more = *end != NULL, ends[2] = {-1, 1};
        *end = NULL;
        if (more && pipe2(ends, O_CLOEXEC)) return 1;
        last = count % 2 ? vfork() : fork();
        if (last == 0) {
            if (input) dup2(input, 0);
            if (more) dup2(ends[1], 1);
            for (size_t i = 0; i < sizeof TOOLS / sizeof *TOOLS; i++)
                if (!strcmp(stage[0], TOOLS[i].name)) execv("/proc/self/exe", stage);
            execvp(stage[0], stage);
            _exit(errno == ENOENT ? 127 : 126);
        }
        if (input) close(input);
        if (more) close(ends[1]), input = ends[0];
        count++;
        stage = more ? end + 1 : end;
    }
    int status, result = 0;
    for (pid_t pid; (pid = wait(&status)) > 0;)
        if (pid == last) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(stderr, "%d stages, %d children noticed at least\n", count, ended > 0);
    return result;
}
