/* fork, pipes, wait, exec: the parent and children talk, and every exit is seen. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "child")) {
        printf("exec'd child: %s %s\n", argv[2], getenv("PASSED") ? getenv("PASSED") : "nothing");
        return 7;
    }
    int ends[2], status, shared = 1;
    char text[64] = {0};
    setbuf(stdout, NULL);
    if (pipe(ends)) return 1;
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        shared = 2;
        close(ends[0]);
        int same = getppid() == parent && getpid() != parent;
        dprintf(ends[1], "child says %d", same);
        _exit(42);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], text, sizeof text - 1);
    printf("read %ld: %s\n", (long)got, text);
    printf("end of pipe %ld\n", (long)read(ends[0], text, 1));
    pid_t waited = waitpid(child, &status, 0);
    printf("waited %d exited %d status %d own memory %d\n", waited == child, WIFEXITED(status),
           WEXITSTATUS(status), shared);

    child = fork();
    if (child == 0) {
        raise(SIGTERM);
        _exit(1);
    }
    wait(&status);
    printf("signaled %d by %d\n", WIFSIGNALED(status), WTERMSIG(status));

    child = vfork();
    if (child == 0) {
        char *arguments[] = {argv[0], "child", "with arguments", NULL};
        char *environment[] = {"PASSED=environment", NULL};
        execve(argv[0], arguments, environment);
        _exit(99);
    }
    waitpid(child, &status, 0);
    printf("exec status %d\n", WEXITSTATUS(status));
    printf("exec of nothing %d\n", execl("/nowhere/at/all", "all", NULL));
    printf("errno %s\n", strerror(errno));
    printf("no children %d %s\n", wait(&status), strerror(errno));
    return 0;
}
