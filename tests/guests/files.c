/* Files and directories under the folder in argv[1]: every step prints what came of it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void say(const char *what, long result) {
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int main(int argc, char **argv) {
    char data[64] = {0}, link_text[64] = {0};
    struct stat st;
    if (argc != 2) return 2;
    say("chdir", chdir(argv[1]));
    say("mkdir", mkdir("sub", 0755));
    say("mkdir again", mkdir("sub", 0755));
    int fd = open("sub/a.txt", O_RDWR | O_CREAT | O_EXCL, 0640);
    say("open", fd >= 0 ? 0 : -1);
    say("write", write(fd, "hello, file\n", 12));
    struct iovec parts[2] = {{"one ", 4}, {"two\n", 4}};
    say("writev", writev(fd, parts, 2));
    say("lseek", lseek(fd, 7, SEEK_SET));
    say("read", read(fd, data, 4));
    printf("data %s\n", data);
    say("pread", pread(fd, data, 3, 12));
    printf("data %.3s\n", data);
    say("pwrite", pwrite(fd, "H", 1, 0));
    say("fstat", fstat(fd, &st));
    printf("size %ld mode %o links %d regular %d\n", (long)st.st_size, st.st_mode & 0777, (int)st.st_nlink,
           S_ISREG(st.st_mode));
    say("ftruncate", ftruncate(fd, 5));
    say("fsync", fsync(fd));
    say("close", close(fd));
    say("close again", close(fd));
    say("stat", stat("sub/a.txt", &st));
    printf("size %ld\n", (long)st.st_size);
    say("link", link("sub/a.txt", "sub/b.txt"));
    say("symlink", symlink("a.txt", "sub/c.txt"));
    say("readlink", readlink("sub/c.txt", link_text, sizeof link_text - 1));
    printf("link %s\n", link_text);
    say("lstat", lstat("sub/c.txt", &st));
    printf("is link %d\n", S_ISLNK(st.st_mode));
    say("rename", rename("sub/b.txt", "sub/d.txt"));
    say("access", access("sub/d.txt", R_OK | W_OK));
    say("access gone", access("sub/b.txt", F_OK));
    say("chmod", chmod("sub/d.txt", 0400));
    char *names[16];
    int count = 0;
    DIR *dir = opendir("sub");
    for (struct dirent *entry; (entry = readdir(dir)) && count < 16;) names[count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    for (int i = 0; i < count; i++) printf("entry %s\n", names[i]);
    say("open a folder to write", open("sub", O_WRONLY));
    say("rmdir full", rmdir("sub"));
    say("bad pointer", open((char *)8, O_RDONLY));
    say("unlink", unlink("sub/a.txt") | unlink("sub/c.txt") | unlink("sub/d.txt"));
    say("rmdir", rmdir("sub"));
    return 0;
}
