/* A thread that closes every number that it can think of, while another opens what polyvm makes for it. A call may fail
   for that reason, and the program goes on. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { ROUNDS = 2000, NUMBERS = 16 };
static atomic_int over;

static void *sweeper(void *argument) {
    (void)argument;
    while (!over)
        for (int fd = 3; fd < NUMBERS; fd++) close(fd);
    return 0;
}

int main(void) {
    static const char *const files[] = {"/proc/self/cmdline", "/proc/self/maps", "/proc/self/exe"};
    pthread_t thread;
    int others = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (i == 3) pthread_create(&thread, 0, sweeper, 0);
        char text[64];
        int fd = open(files[i % 3], O_RDONLY);
        if (fd < 0) {
            others += errno != EBADF && errno != ENOENT;
            continue;
        }
        if (read(fd, text, sizeof text) < 0) others += errno != EBADF;
        close(fd);
    }
    over = 1;
    pthread_join(thread, 0);
    printf("%d failed in another way\n", others);
}
