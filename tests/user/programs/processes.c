/* Processes and threads: fork, vfork, exec in its many forms, wait, who ends when. Run with an argument it is the child. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/futex.h>
#include <linux/sched.h>

extern char **environ;
static char self[4096];
static void say(const char *what, long value) { printf("%s: %ld\n", what, value); fflush(stdout); }

static int status_of(pid_t pid) {
    int status;
    if (waitpid(pid, &status, 0) != pid) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int run(char *const argv[], char *const envp[]) {
    pid_t pid = fork();
    if (!pid) {
        execve(argv[0], argv, envp);
        _exit(errno);
    }
    return status_of(pid);
}

static void script(const char *path, const char *text, int mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    write(fd, text, strlen(text));
    close(fd);
    chmod(path, mode);
}

static void *exec_here(void *arg) {
    char *argv[] = {self, "pid", arg, 0};
    execve(self, argv, environ);
    return 0;
}
static void *forever(void *arg) { for (;;) (void)*(volatile char *)arg; return 0; }
static void *sleeping(void *arg) { (void)arg; for (;;) pause(); return 0; }
static void *exit_all(void *arg) { (void)arg; usleep(20000); _exit(33); return 0; }
static void *late(void *arg) { usleep(50000); *(volatile int *)arg = 1; write(1, "late\n", 5); return 0; }
static void *forker(void *arg) {
    pid_t pid = fork();
    if (!pid) {
        if (getpid() != syscall(SYS_gettid)) _exit(1);
        _exit(44);
    }
    *(int *)arg = status_of(pid);
    return 0;
}
static pthread_mutex_t robust;
static void *dies_holding(void *arg) { (void)arg; pthread_mutex_lock(&robust); return 0; }

static int child_main(int argc, char **argv) {
    if (!strcmp(argv[1], "echo")) {
        for (int i = 2; i < argc; i++) printf("[%s]", argv[i]);
        printf(" env %s\n", getenv("MARK") ? getenv("MARK") : "none");
        return 21;
    }
    if (!strcmp(argv[1], "pid")) return atoi(argv[2]) == getpid() && syscall(SYS_gettid) == getpid() ? 22 : 1;
    if (!strcmp(argv[1], "fds")) {
        return fcntl(atoi(argv[2]), F_GETFD) >= 0 ? 1 : fcntl(atoi(argv[3]), F_GETFD) >= 0 ? 23 : 2;
    }
    if (!strcmp(argv[1], "signals")) {
        struct sigaction a;
        sigset_t mask;
        sigprocmask(0, 0, &mask);
        sigaction(SIGUSR1, 0, &a);
        int caught_reset = a.sa_handler == SIG_DFL;
        sigaction(SIGUSR2, 0, &a);
        return caught_reset && a.sa_handler == SIG_IGN && sigismember(&mask, SIGHUP) ? 24 : 1;
    }
    return 99;
}

static void executing(void) {
    char *echo[] = {self, "echo", "a b", "", "c", 0}, *mark[] = {"MARK=yes", 0}, *none[] = {0};
    say("exec", run(echo, mark));
    say("exec without environment", run(echo, none));
    char *missing[] = {"/no/such/file", 0};
    say("ENOENT", run(missing, none) == ENOENT);
    script("plain", "no interpreter\n", 0644);
    char *plain[] = {"./plain", "x", 0};
    say("EACCES", run(plain, none) == EACCES);
    script("plain", "no interpreter\n", 0755);
    say("ENOEXEC", run(plain, none) == ENOEXEC);
    mkdir("folder", 0755);
    char *folder[] = {"./folder", 0};
    say("a directory", run(folder, none) == EACCES);
    char text[5000];
    snprintf(text, sizeof text, "#! %s echo one argument\n", self);
    script("script", text, 0755);
    char *argv[] = {"./script", "last", 0};
    say("script", run(argv, mark));
    script("loop", "#!./loop\n", 0755);
    char *loop[] = {"./loop", 0};
    say("ELOOP", run(loop, none) == ELOOP);
    char *native[] = {"/bin/sh", "-c", "exit 26", 0};
    say("native", run(native, none));
    pid_t pid = fork();
    if (!pid) {
        char *huge = malloc(200000);
        memset(huge, 'x', 199999);
        huge[199999] = 0;
        char *big[] = {self, huge, 0};
        execve(self, big, none);
        _exit(errno);
    }
    say("E2BIG", status_of(pid) == E2BIG);
    int keep = open("/dev/null", O_RDONLY), gone = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char keep_s[12], gone_s[12];
    sprintf(keep_s, "%d", keep);
    sprintf(gone_s, "%d", gone);
    char *fds[] = {self, "fds", gone_s, keep_s, 0};
    say("O_CLOEXEC", run(fds, none));
    pid = fork();
    if (!pid) {
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGHUP);
        sigprocmask(SIG_BLOCK, &mask, 0);
        signal(SIGUSR1, (void (*)(int))1234);
        signal(SIGUSR2, SIG_IGN);
        char *signals[] = {self, "signals", 0};
        execv(self, signals);
        _exit(errno);
    }
    say("signals across exec", status_of(pid));
    pid = fork();
    if (!pid) {
        int fd = open(self, O_RDONLY);
        char *argv2[] = {"fexecve", "echo", "by descriptor", 0};
        fexecve(fd, argv2, mark);
        _exit(errno);
    }
    say("fexecve", status_of(pid));
    char pid_s[12];
    pid = fork();
    if (!pid) {
        pthread_t a, b;
        static char where;
        sprintf(pid_s, "%d", getpid());
        pthread_create(&a, 0, forever, &where);
        pthread_create(&b, 0, sleeping, 0);
        usleep(5000);
        exec_here(pid_s);
        _exit(errno);
    }
    say("exec ends other threads", status_of(pid));
    pid = fork();
    if (!pid) {
        pthread_t a;
        sprintf(pid_s, "%d", getpid());
        pthread_create(&a, 0, exec_here, pid_s);
        for (;;) pause();
    }
    say("exec in another thread keeps the pid", status_of(pid));
    pid = fork();
    if (!pid) {
        pthread_t a;
        sprintf(pid_s, "%d", getpid());
        pthread_create(&a, 0, exec_here, pid_s);
        syscall(SYS_exit, 7);
    }
    say("exec after the first thread ended", status_of(pid));
}

static void ending(void) {
    pthread_t t;
    pid_t pid = fork();
    if (!pid) {
        pthread_create(&t, 0, exit_all, 0);
        for (volatile int i = 0;; i++) {}
    }
    say("exit_group from a thread", status_of(pid));
    pid = fork();
    if (!pid) {
        static volatile int flag;
        pthread_create(&t, 0, late, (void *)&flag);
        syscall(SYS_exit, 9);
    }
    say("the first thread's status", status_of(pid));
    int result = 0;
    pthread_create(&t, 0, forker, &result);
    pthread_join(t, 0);
    say("fork in a thread", result);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attr);
    pthread_create(&t, 0, dies_holding, 0);
    pthread_join(t, 0);
    say("robust mutex", pthread_mutex_lock(&robust) == EOWNERDEAD);
    siginfo_t si = {0};
    pid = fork();
    if (!pid) _exit(3);
    say("waitid keeps", waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0 && si.si_status == 3 && si.si_pid == pid);
    say("then reaps", status_of(pid));
    say("ECHILD", waitpid(-1, 0, 0) == -1 && errno == ECHILD);
    struct rusage ru;
    pid = fork();
    if (!pid) {
        for (volatile int i = 0; i < 100000; i++) {}
        _exit(0);
    }
    int status;
    say("wait4", wait4(pid, &status, 0, &ru) == pid && ru.ru_maxrss > 0);
}

static void creating(void) {
    int p[2];
    pipe(p);
    pid_t pid = vfork();
    if (!pid) {
        usleep(30000);
        write(p[1], "v", 1);
        _exit(4);
    }
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    char c = 0;
    say("vfork waits", read(p[0], &c, 1) == 1 && c == 'v');
    say("vfork status", status_of(pid));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    char *argv[] = {self, "echo", "spawned", 0};
    int spawned = posix_spawn(&pid, self, &actions, 0, argv, environ), status = status_of(pid);
    say("posix_spawn", spawned); /* only now: until it ended, the two write in any order */
    say("its status", status);
    say("posix_spawn ENOENT", posix_spawn(&pid, "/no/such", 0, 0, argv, environ) == ENOENT);
    struct clone_args args = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD};
    int pidfd = -1;
    args.pidfd = (uintptr_t)&pidfd;
    pid = syscall(SYS_clone3, &args, sizeof args);
    if (!pid) _exit(5);
    say("clone3", status_of(pid));
    say("pidfd", pidfd >= 0 && close(pidfd) == 0);
    say("namespaces are refused", syscall(SYS_clone, CLONE_NEWNET | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) == -1);
    int *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), private = 1;
    pid = fork();
    if (!pid) {
        *shared = 11;
        private = 2;
        syscall(SYS_futex, shared, FUTEX_WAKE, 1, 0, 0, 0);
        _exit(0);
    }
    syscall(SYS_futex, shared, FUTEX_WAIT, 0, 0, 0, 0);
    status_of(pid);
    say("shared memory", *shared);
    say("private memory", private);
    prctl(PR_SET_NAME, "a name");
    char comm[17] = "";
    prctl(PR_GET_NAME, comm);
    say("name", strcmp(comm, "a name") == 0);
    FILE *f = popen("echo piped; exit 6", "r");
    char line[64];
    say("popen", f && fgets(line, 64, f) && strcmp(line, "piped\n") == 0);
    say("pclose", WEXITSTATUS(pclose(f)));
    say("system", WEXITSTATUS(system("exit 8")));
}

int main(int argc, char **argv) {
    if (argc > 1) return child_main(argc, argv);
    readlink("/proc/self/exe", self, sizeof self - 1);
    char where[] = "/tmp/processesXXXXXX";
    if (!mkdtemp(where) || chdir(where)) return 1;
    executing();
    ending();
    creating();
    chdir("/");
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", where);
    return system(command);
}
