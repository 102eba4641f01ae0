/* Tries every way to a file outside of the root that it runs below; argv[1] names its folder. Prints what it reached. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/inotify.h>
#include <unistd.h>

static int reached, tried;
static void check(const char *what, const char *name, int result) {
    tried++;
    if (result == -1) return;
    reached++;
    printf("%s(%s)\n", what, name);
}
/* Each call on a name that ought to lead nowhere. */
static void all(const char *name) {
    struct stat s;
    struct statvfs v;
    struct statx x;
    char data[256];
    char *argv[] = {"secret", 0};
    check("stat", name, stat(name, &s));
    check("lstat", name, lstat(name, &s));
    check("statx", name, statx(AT_FDCWD, name, 0, STATX_SIZE, &x));
    check("statvfs", name, statvfs(name, &v));
    check("access", name, access(name, F_OK));
    check("open", name, open(name, O_RDONLY));
    check("open for writing", name, open(name, O_WRONLY | O_TRUNC));
    check("open to make it", name, open(name, O_WRONLY | O_CREAT, 0600));
    check("open by path", name, open(name, O_PATH));
    check("readlink", name, readlink(name, data, sizeof data));
    check("truncate", name, truncate(name, 0));
    check("chmod", name, chmod(name, 0777));
    check("lchown", name, fchownat(AT_FDCWD, name, -1, -1, AT_SYMLINK_NOFOLLOW));
    check("utimensat", name, utimensat(AT_FDCWD, name, 0, 0));
    check("rename from", name, rename(name, "stolen"));
    check("rename to", name, rename("mine", name));
    check("link from", name, link(name, "stolen"));
    check("link to", name, link("mine", name));
    check("symlink", name, symlink("x", name));
    check("mkdir", name, mkdir(name, 0700));
    check("mkfifo", name, mkfifo(name, 0600));
    check("unlink", name, unlink(name));
    check("rmdir", name, rmdir(name));
    check("inotify", name, inotify_add_watch(inotify_init(), name, IN_OPEN));
    check("execve", name, execve(name, argv, argv + 1));
    check("chdir", name, chdir(name));
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    char name[4096], up[512] = "";
    const char *outside = argv[1]; /* an absolute name on the host */
    close(open("mine", O_CREAT | O_WRONLY, 0600));
    mkdir("folder", 0700);
    symlink(outside, "folder/absolute");
    for (int i = 0; i < 40; i++) strcat(up, "../");
    snprintf(name, sizeof name, "%s%s", up, outside + 1);
    symlink(name, "folder/relative");
    symlink("/proc/self/root", "folder/root");
    symlink("/proc/self/cwd", "folder/cwd");
    int here = open(".", O_RDONLY | O_DIRECTORY), folder = open("folder", O_RDONLY | O_DIRECTORY);
    static const char *const files[] = {"/secret", "/folder/secret", ""};
    for (int f = 0; f < 3; f++) {
        snprintf(name, sizeof name, "%s%s", outside, files[f]);
        all(name);
        snprintf(name, sizeof name, "%s%s%s", up, outside + 1, files[f]);
        all(name);
        for (int l = 0; l < 2 && files[f][0]; l++) {
            const char *link = l ? "relative" : "absolute";
            snprintf(name, sizeof name, "folder/%s%s", link, files[f]);
            all(name);
            snprintf(name, sizeof name, "folder/../folder/%s%s", link, files[f]);
            all(name);
            snprintf(name, sizeof name, "/proc/self/fd/%d/%s%s", folder, link, files[f]);
            all(name);
            snprintf(name, sizeof name, "/proc/self/fd/%d/../folder/%s%s", folder, link, files[f]);
            all(name);
            snprintf(name, sizeof name, "/proc/%d/fd/%d/folder/%s%s", getpid(), here, link, files[f]);
            all(name);
            snprintf(name, sizeof name, "/proc/self/task/%d/fd/%d/./%s%s", getpid(), folder, link, files[f]);
            all(name);
            snprintf(name, sizeof name, "/proc/self/cwd/folder/%s%s", link, files[f]);
            all(name);
        }
        snprintf(name, sizeof name, "folder/root%s%s", outside, files[f]);
        all(name);
        snprintf(name, sizeof name, "/proc/self/root%s%s", outside, files[f]);
        all(name);
        snprintf(name, sizeof name, "/proc/self/fd/%d/%s%s%s", folder, up, outside + 1, files[f]);
        all(name);
        snprintf(name, sizeof name, "/proc/1/root%s%s", outside, files[f]);
        all(name);
    }
    printf("%d of %d\n", reached, tried);
    return 0;
}
