"""Every system call, one declaration each: its name, how it is carried out, and its typed arguments.

A line is `NAME HOW ARGUMENT:TYPE...`. HOW is `pass` (the host's call of the same name does it), the module of
`polyvm.user.syscalls` whose `sys_NAME` does it, or `!ERRNO` for one that is refused by name. A plus behind the module
says that the host's call does all of it, once each argument is what its type says, where names, descriptors and
signals of the guest are the host's: as for a standalone program, which has no module. After a slash stands
what becomes of an interrupted call, as in the kernel: `s` is restarted under SA_RESTART (ERESTARTSYS), `n` only
where no handler ran (ERESTARTNOHAND), `b` goes on with the time that is left (ERESTART_RESTARTBLOCK); else EINTR.
Dispatch, native pass-through, strace text, coverage and policy all read this table. It refuses to know any guest:
numbers come from `numbers_generic` and the guest's abi.
"""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Types of arguments. Pointers: in, out, inout and str (memory of the guest); path and lpath are names of files (lpath
# does not follow a last symbolic link, name is resolved by the Python function; `at` before it is the directory;
# at_flags and at_follow carry AT_SYMLINK_NOFOLLOW and AT_SYMLINK_FOLLOW); stat is an out that holds a struct stat, iov
# an array of struct iovec whose count comes next, strings a null-terminated array; range is an address whose memory the
# call is about, and its size comes next; ptr means what the Python function makes of it. Descriptors: fd, at. The rest
# are numbers, each printed in its own way.
DECLARATIONS = """
io_setup !ENOSYS nr:uint ctx:ptr
io_destroy !ENOSYS ctx:hex
io_submit !ENOSYS ctx:hex nr:long iocbs:ptr
io_cancel !ENOSYS ctx:hex iocb:ptr result:ptr
io_getevents !ENOSYS ctx:hex min:long nr:long events:ptr timeout:ptr
io_pgetevents !ENOSYS ctx:hex min:long nr:long events:ptr timeout:ptr sig:ptr
setxattr pass path:path name:str value:in size:size flags:int
lsetxattr pass path:lpath name:str value:in size:size flags:int
fsetxattr pass fd:fd name:str value:in size:size flags:int
getxattr pass path:path name:str value:out size:size
lgetxattr pass path:lpath name:str value:out size:size
fgetxattr pass fd:fd name:str value:out size:size
listxattr pass path:path list:out size:size
llistxattr pass path:lpath list:out size:size
flistxattr pass fd:fd list:out size:size
removexattr pass path:path name:str
lremovexattr pass path:lpath name:str
fremovexattr pass fd:fd name:str
getcwd files+ buf:out size:size
lookup_dcookie !ENOSYS cookie:hex buf:ptr size:size
eventfd2 pass initval:uint flags:hex
epoll_create1 pass flags:hex
epoll_ctl poll epfd:fd op:int fd:fd event:ptr
epoll_pwait poll epfd:fd events:ptr max:int timeout:int mask:ptr size:size
epoll_pwait2 poll epfd:fd events:ptr max:int timeout:ptr mask:ptr size:size
dup pass fd:fd
dup3 descriptors+ old:fd new:fd flags:open_flags
fcntl descriptors/s fd:fd cmd:int arg:hex
inotify_init1 pass flags:hex
inotify_add_watch pass fd:fd path:path mask:hex
inotify_rm_watch pass fd:fd wd:int
ioctl ioctl/s fd:fd request:hex arg:hex
ioprio_set pass which:int who:int ioprio:hex
ioprio_get pass which:int who:int
flock pass/s fd:fd operation:int
mknodat pass dirfd:at path:lpath mode:mode dev:hex
mkdirat pass dirfd:at path:lpath mode:mode
unlinkat pass dirfd:at path:lpath flags:hex
symlinkat pass target:str dirfd:at path:lpath
linkat pass olddir:at oldpath:lpath newdir:at newpath:lpath flags:at_follow
renameat pass olddir:at oldpath:lpath newdir:at newpath:lpath
renameat2 pass olddir:at oldpath:lpath newdir:at newpath:lpath flags:hex
umount2 !EPERM target:str flags:hex
mount !EPERM source:str target:str type:str flags:hex data:ptr
pivot_root !EPERM new:str old:str
nfsservctl !ENOSYS
statfs pass path:path buf:out
fstatfs pass fd:fd buf:out
truncate pass path:path length:off
ftruncate pass fd:fd length:off
fallocate pass/s fd:fd mode:hex offset:off length:off
faccessat pass dirfd:at path:path mode:int
faccessat2 pass dirfd:at path:path mode:int flags:at_flags
chdir files+ path:path
fchdir files+ fd:fd
chroot !EPERM path:str
fchmod pass fd:fd mode:mode
fchmodat pass dirfd:at path:path mode:mode
fchmodat2 pass dirfd:at path:path mode:mode flags:at_flags
fchownat pass dirfd:at path:path uid:int gid:int flags:at_flags
fchown pass fd:fd uid:int gid:int
openat files+/s dirfd:at path:name flags:open_flags mode:mode
openat2 files/s dirfd:at path:name how:ptr size:size
close descriptors+ fd:fd
close_range descriptors+ first:uint last:uint flags:hex
vhangup !EPERM
pipe2 descriptors+ fds:out flags:open_flags
quotactl !EPERM cmd:hex special:ptr id:int addr:ptr
quotactl_fd !EPERM fd:fd cmd:hex id:int addr:ptr
getdents64 files+ fd:fd buf:out size:size
lseek pass fd:fd offset:off whence:int
read pass/s fd:fd buf:out size:size
write pass/s fd:fd buf:in size:size
readv descriptors+/s fd:fd iov:iov count:int
writev descriptors+/s fd:fd iov:iov count:int
pread64 pass/s fd:fd buf:out size:size offset:off
pwrite64 pass/s fd:fd buf:in size:size offset:off
preadv descriptors+/s fd:fd iov:iov count:int low:off high:off
pwritev descriptors+/s fd:fd iov:iov count:int low:off high:off
preadv2 descriptors+/s fd:fd iov:iov count:int low:off high:off flags:hex
pwritev2 descriptors+/s fd:fd iov:iov count:int low:off high:off flags:hex
sendfile pass/s out:fd in:fd offset:inout count:size
pselect6 poll/n nfds:int readfds:inout writefds:inout exceptfds:inout timeout:inout mask:ptr
ppoll poll+/n fds:inout nfds:uint timeout:inout mask:ptr size:size
signalfd4 poll+ fd:int mask:ptr size:size flags:hex
vmsplice descriptors+/s fd:fd iov:iov count:size flags:hex
splice pass/s in:fd in_offset:inout out:fd out_offset:inout size:size flags:hex
tee pass/s in:fd out:fd size:size flags:hex
readlinkat files+ dirfd:at path:name buf:out size:size
newfstatat files+ dirfd:at path:name buf:stat flags:at_flags
fstat files+ fd:fd buf:stat
statx files+ dirfd:at path:name flags:at_flags mask:hex buf:out
sync pass
fsync pass fd:fd
fdatasync pass fd:fd
sync_file_range pass fd:fd offset:off size:off flags:hex
syncfs pass fd:fd
timerfd_create pass clock:clock flags:hex
timerfd_settime pass fd:fd flags:hex new:in old:out
timerfd_gettime pass fd:fd value:out
utimensat files+ dirfd:at path:name times:in flags:at_flags
acct !EPERM path:str
capget pass header:inout data:out
capset pass header:inout data:in
personality misc persona:hex
exit process status:int
exit_group process status:int
waitid process+/s which:int id:pid info:out options:hex usage:out
set_tid_address process address:hex
unshare !EPERM flags:hex
futex futex address:ptr op:hex value:uint timeout:hex address2:hex value3:hex
futex_waitv !ENOSYS waiters:ptr count:uint flags:hex timeout:ptr clock:clock
futex_wake !ENOSYS
futex_wait !ENOSYS
futex_requeue !ENOSYS
set_robust_list futex head:hex size:size
get_robust_list futex pid:pid head:out size:out
nanosleep time+ request:in remaining:out
clock_nanosleep time+ clock:clock flags:hex request:in remaining:out
getitimer pass which:int value:out
setitimer pass which:int new:in old:out
kexec_load !EPERM
init_module !EPERM
delete_module !EPERM
finit_module !EPERM
timer_create time+ clock:clock event:in id:out
timer_gettime pass id:int value:out
timer_getoverrun pass id:int
timer_settime pass id:int flags:hex new:in old:out
timer_delete time+ id:int
clock_settime pass clock:clock time:in
clock_gettime pass clock:clock time:out
clock_getres pass clock:clock time:out
clock_adjtime pass clock:clock timex:inout
syslog pass type:int buf:out size:int
ptrace !ENOSYS request:int pid:pid address:hex data:hex
sched_setparam pass pid:pid param:in
sched_setscheduler pass pid:pid policy:int param:in
sched_getscheduler pass pid:pid
sched_getparam pass pid:pid param:out
sched_setaffinity pass pid:pid size:size mask:in
sched_getaffinity pass pid:pid size:size mask:out
sched_yield pass
sched_get_priority_max pass policy:int
sched_get_priority_min pass policy:int
sched_rr_get_interval pass pid:pid time:out
sched_setattr pass pid:pid attr:in flags:hex
sched_getattr pass pid:pid attr:out size:size flags:hex
restart_syscall !EINTR
kill signals+ pid:pid sig:sig
tkill signals+ tid:pid sig:sig
tgkill signals+ pid:pid tid:pid sig:sig
sigaltstack signals new:ptr old:ptr
rt_sigsuspend signals+/n mask:ptr size:size
rt_sigaction signals sig:sig new:ptr old:ptr size:size
rt_sigprocmask signals how:int new:ptr old:ptr size:size
rt_sigpending signals+ set:ptr size:size
rt_sigtimedwait signals+ mask:ptr info:ptr timeout:ptr size:size
rt_sigqueueinfo signals+ pid:pid sig:sig info:ptr
rt_tgsigqueueinfo signals pid:pid tid:pid sig:sig info:ptr
rt_sigreturn signals
setpriority pass which:int who:int priority:int
getpriority pass which:int who:int
reboot !EPERM
setregid pass rgid:int egid:int
setgid pass gid:int
setreuid pass ruid:int euid:int
setuid pass uid:int
setresuid pass ruid:int euid:int suid:int
getresuid pass ruid:out euid:out suid:out
setresgid pass rgid:int egid:int sgid:int
getresgid pass rgid:out egid:out sgid:out
setfsuid pass uid:int
setfsgid pass gid:int
times pass buf:out
setpgid pass pid:pid pgid:pid
getpgid pass pid:pid
getsid pass pid:pid
setsid pass
getgroups pass size:int list:out
setgroups pass size:int list:in
uname misc buf:ptr
sethostname !EPERM name:str size:int
setdomainname !EPERM name:str size:int
getrlimit misc resource:int limit:ptr
setrlimit misc resource:int limit:ptr
prlimit64 misc pid:pid resource:int new:ptr old:ptr
getrusage pass who:int usage:out
umask pass mask:mode
prctl misc option:int a:hex b:hex c:hex d:hex
getcpu pass cpu:out node:out cache:out
gettimeofday pass time:out zone:out
settimeofday pass time:in zone:in
adjtimex pass timex:inout
getpid pass
getppid pass
getuid pass
geteuid pass
getgid pass
getegid pass
gettid pass
sysinfo pass info:out
mq_open pass name:str flags:open_flags mode:mode attr:in
mq_unlink pass name:str
mq_timedsend pass/s mqd:fd msg:in size:size priority:uint timeout:in
mq_timedreceive pass/s mqd:fd msg:out size:size priority:out timeout:in
mq_notify !ENOSYS mqd:fd event:ptr
mq_getsetattr pass mqd:fd new:in old:out
msgget pass key:hex flags:hex
msgctl pass id:int cmd:int buf:inout
msgrcv pass/n id:int msg:out size:size type:long flags:hex
msgsnd pass/n id:int msg:in size:size flags:hex
semget pass key:hex count:int flags:hex
semctl misc id:int num:int cmd:int arg:hex
semtimedop pass id:int ops:in count:uint timeout:in
semop pass id:int ops:in count:uint
shmget !ENOSYS key:hex size:size flags:hex
shmctl !ENOSYS id:int cmd:int buf:ptr
shmat !ENOSYS id:int address:hex flags:hex
shmdt !ENOSYS address:hex
socket pass domain:int type:hex protocol:int
socketpair descriptors+ domain:int type:hex protocol:int fds:out
bind sockets+ fd:fd address:ptr size:int
listen pass fd:fd backlog:int
accept sockets+/s fd:fd address:ptr size:ptr
accept4 sockets+/s fd:fd address:ptr size:ptr flags:hex
connect sockets+/s fd:fd address:ptr size:int
getsockname sockets+ fd:fd address:ptr size:ptr
getpeername sockets+ fd:fd address:ptr size:ptr
sendto sockets+/s fd:fd buf:in size:size flags:hex address:ptr address_size:int
recvfrom sockets+/s fd:fd buf:out size:size flags:hex address:ptr address_size:ptr
setsockopt sockets+ fd:fd level:int option:int value:ptr size:int
getsockopt sockets+ fd:fd level:int option:int value:ptr size:ptr
shutdown pass fd:fd how:int
sendmsg sockets/s fd:fd msg:ptr flags:hex
recvmsg sockets/s fd:fd msg:ptr flags:hex
sendmmsg sockets/s fd:fd msgs:ptr count:uint flags:hex
recvmmsg sockets/s fd:fd msgs:ptr count:uint flags:hex timeout:ptr
readahead pass fd:fd offset:off count:size
brk memory address:hex
munmap memory address:hex size:size
mremap memory address:hex size:size new_size:size flags:hex new_address:hex
add_key !ENOSYS
request_key !ENOSYS
keyctl !ENOSYS
clone process flags:hex stack:hex a:hex b:hex c:hex
clone3 process args:ptr size:size
execve process+ path:name argv:strings envp:strings
execveat process+ dirfd:at path:name argv:strings envp:strings flags:hex
mmap memory address:hex size:size prot:prot flags:map_flags fd:int offset:off
fadvise64 pass fd:fd offset:off size:off advice:int
swapon !EPERM path:str flags:hex
swapoff !EPERM path:str
mprotect memory address:hex size:size prot:prot
msync memory+ address:range size:size flags:hex
mlock memory+ address:range size:size
munlock memory+ address:range size:size
mlockall memory flags:hex
munlockall memory
mlock2 memory+ address:range size:size flags:hex
mincore memory+ address:range size:size vec:out
madvise memory+ address:range size:size advice:int
remap_file_pages !ENOSYS address:hex size:size prot:prot offset:size flags:hex
mbind !ENOSYS
get_mempolicy !ENOSYS
set_mempolicy !ENOSYS
migrate_pages !ENOSYS
move_pages !ENOSYS
set_mempolicy_home_node !ENOSYS
perf_event_open !ENOSYS
wait4 process+/s pid:pid status:out options:hex usage:out
fanotify_init !EPERM
fanotify_mark !EPERM
name_to_handle_at pass dirfd:at path:lpath handle:inout mount:out flags:at_follow
open_by_handle_at !EPERM mount:fd handle:ptr flags:open_flags
setns !EPERM fd:fd type:hex
process_vm_readv !EPERM
process_vm_writev !EPERM
kcmp !ENOSYS
seccomp !EINVAL operation:int flags:hex args:ptr
getrandom pass/s buf:out size:size flags:hex
memfd_create pass name:str flags:hex
bpf !EPERM
userfaultfd !ENOSYS flags:hex
membarrier pass cmd:int flags:hex cpu:int
copy_file_range pass in:fd in_offset:inout out:fd out_offset:inout size:size flags:hex
pkey_mprotect !ENOSYS
pkey_alloc !ENOSPC
pkey_free !EINVAL
rseq !ENOSYS area:ptr size:size flags:hex sig:hex
kexec_file_load !EPERM
pidfd_send_signal signals+ pidfd:fd sig:sig info:ptr flags:hex
pidfd_open pass pid:pid flags:hex
pidfd_getfd !EPERM pidfd:fd fd:int flags:hex
io_uring_setup !ENOSYS
io_uring_enter !ENOSYS
io_uring_register !ENOSYS
open_tree !EPERM
move_mount !EPERM
fsopen !EPERM
fsconfig !EPERM
fsmount !EPERM
fspick !EPERM
mount_setattr !EPERM
process_madvise !ENOSYS
process_mrelease !ENOSYS
landlock_create_ruleset !ENOSYS
landlock_add_rule !ENOSYS
landlock_restrict_self !ENOSYS
memfd_secret !ENOSYS flags:hex
cachestat pass fd:fd range:in stat:out flags:hex
map_shadow_stack !ENOSYS
"""

POINTERS = ("in", "out", "inout", "str")
PATHS = ("path", "lpath")
MOVED = (*POINTERS, *PATHS, "name", "ptr")
"""Types whose arguments the host's call takes as they are, once they are addresses of its own."""
DESCRIPTORS = ("fd", "at")
RESTARTS = {"": 0, "s": 512, "n": 514, "b": 516}  # ERESTARTSYS, ERESTARTNOHAND, ERESTART_RESTARTBLOCK


class Declaration:
    """One system call. `how` is "pass", "refuse" or a module's name; `restart` the kernel's restart code, or 0.

    whole: whether the host's call does all of it.
    """

    __slots__ = ("_text", "errno", "how", "name", "restart", "whole")

    def __init__(self, line: str) -> None:
        self.name, _, rest = line.partition(" ")
        how, _, self._text = rest.partition(" ")
        how, _, restart = how.partition("/")
        self.restart = RESTARTS[restart]
        self.errno = 0
        if how[0] == "!":
            self.errno = getattr(errno, how[1:])
            how = "refuse"
        self.how = how.removesuffix("+")
        self.whole = how == "pass" or how != self.how

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """(name, type) of each argument."""
        pairs = []
        for part in self._text.split():
            name, _, kind = part.partition(":")
            pairs.append((name, kind))
        return pairs

    @property
    def pointers(self) -> tuple[int, ...]:
        """Positions of plain guest pointers."""
        return tuple(i for i, (_, kind) in enumerate(self.arguments) if kind in POINTERS)

    @property
    def moved(self) -> tuple[int, ...]:
        """Positions of guest pointers of every kind, names of files among them."""
        return tuple(i for i, (_, kind) in enumerate(self.arguments) if kind in MOVED)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Positions of descriptors (not of directories, which may be AT_FDCWD)."""
        return tuple(i for i, (_, kind) in enumerate(self.arguments) if kind == "fd")

    @property
    def paths(self) -> tuple[tuple[int, int, bool], ...]:
        """(position of the directory or -1, position of the path, whether a last symbolic link is followed)."""
        kinds = [kind for _, kind in self.arguments]
        return tuple(
            (i - 1 if i and kinds[i - 1] == "at" else -1, i, kind == "path")
            for i, kind in enumerate(kinds)
            if kind in PATHS
        )

    @property
    def at_flags(self) -> int:
        """Position of the AT_* flags, or -1."""
        for i, (_, kind) in enumerate(self.arguments):
            if kind in ("at_flags", "at_follow"):
                return i
        return -1

    @property
    def state(self) -> str:
        """For the coverage table."""
        return {"pass": "passed to the host", "refuse": "refused"}.get(self.how, "done")

    @property
    def native(self) -> bool:
        """Whether generated native code may do it: the host's own call with pointers moved, and nothing else."""
        return self.how == "pass" and not self.paths


_index: dict[str, str] = {}


def declaration(name: str) -> Declaration | None:
    """The declaration of a system call by name."""
    if not _index:
        for line in DECLARATIONS.splitlines():
            _index[line.partition(" ")[0]] = line
    line = _index.get(name, "")
    return Declaration(line) if line else None


def declarations() -> Iterator[Declaration]:
    """Every declaration."""
    for line in DECLARATIONS.splitlines():
        if line:
            yield Declaration(line)


def native_table(names: dict[int, str], host: dict[str, int]) -> dict[int, tuple[int, int, int]]:
    """What generated native code needs: guest number -> (host number, mask of pointers, mask of descriptors)."""
    table = {}
    for number, name in names.items():
        found = declaration(name)
        if found is not None and found.native and name in host:
            pointers = sum(1 << i for i in found.pointers)
            descriptors = sum(1 << i for i in found.descriptors)
            table[number] = (host[name], pointers, descriptors)
    return table
