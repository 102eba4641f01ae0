/* What a process finds out about itself in /proc, and through links that lead there. Run in a folder of its own. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[65536];

static const char *content(const char *name) {
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n < 0) return strerror(errno);
    text[n] = 0;
    close(fd);
    return text;
}
static const char *target(const char *name) {
    ssize_t n = readlink(name, text, sizeof text - 1);
    if (n < 0) return strerror(errno);
    text[n] = 0;
    return text;
}
static int entries(const char *name) {
    DIR *folder = opendir(name);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}
static long field(const char *name, const char *key) {
    const char *found = strstr(content(name), key);
    return found ? strtol(found + strlen(key), 0, 10) : -1;
}
static unsigned long signals(const char *key) {
    const char *found = strstr(content("/proc/self/status"), key);
    return found ? strtoul(found + strlen(key), 0, 16) : 0;
}
static long threads(void) { /* field 20 of stat, the 18th behind the name, which may have spaces in it */
    content("/proc/self/stat");
    char *at = strrchr(text, ')');
    for (int i = 0; i < 18; i++) at = strchr(at + 1, ' ');
    return strtol(at, 0, 10);
}
static void counts(const char *who) {
    printf("%s: %ld threads, %ld, %d\n", who, threads(), field("/proc/self/status", "Threads:"), entries("/proc/self/task"));
    fflush(stdout);
}
static void *other(void *who) { counts(who); return 0; }

int main(int argc, char **argv) {
    int pipes[2];
    char name[64];
    if (pipe(pipes) || write(pipes[1], "through\n", 8) != 8) return 1;
    for (const char **folder = (const char *[]){"/proc/self/fd", "/dev/fd", 0}; *folder; folder++) {
        snprintf(name, sizeof name, "%s/%d", *folder, pipes[0]);
        printf("%s %d\n", strncmp(target(name), "pipe:[", 6) ? text : "a pipe", access(name, R_OK));
    }
    printf("%s", content(name));
    close(pipes[1]);
    dup2(pipes[0], 0);
    printf("%d %s\n", open("/dev/stdin", O_RDONLY) >= 0, strcmp(content("/dev/fd/999"), "No such file or directory") ? text : "none");
    int made = open("made", O_RDWR | O_CREAT, 0600);
    snprintf(name, sizeof name, "/dev/fd/%d", made);
    printf("%s\n", strrchr(target(name), '/'));
    if (argc > 1) { /* below a root: elsewhere it is the kernel that follows links of the guest's own making */
        symlink("/proc/self", "me");
        snprintf(name, sizeof name, "me/fd/%d", made);
        if (strcmp(target(name), "/work/made") || readlink("me/", name, sizeof name) >= 0) printf("no link: %s\n", text);
        if (strcmp(content("me/cmdline"), argv[0])) printf("not our own: %s\n", text);
    }

    char here[PATH_MAX];
    printf("%d", !strcmp(target("/proc/self/cwd"), getcwd(here, sizeof here)));
    printf("%d", access("/proc/self/cwd/made", F_OK));
    printf(" %s", target("/proc/self/root"));
    printf(" %d\n", access("/proc/self/root/proc/self/stat", F_OK));

    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, (void (*)(int))(long)other);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGHUP);
    sigprocmask(SIG_SETMASK, &blocked, 0);
    printf("%lx %lx %lx\n", signals("SigBlk:"), signals("SigIgn:") & 0x200, signals("SigCgt:"));
    printf("%d\n", field("/proc/self/status", "VmSize:") < 1 << 20);

    counts("one");
    pthread_t thread;
    pthread_create(&thread, 0, other, "two");
    pthread_join(thread, 0);
    pid_t pid = fork();
    if (!pid) {
        counts("child");
        return 0;
    }
    waitpid(pid, 0, 0);
    return 0;
}
