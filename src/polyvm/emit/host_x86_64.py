"""The native runtime of an x86-64 Linux host, as LLVM text: entering and leaving guest code, and its signal handler.

The text is put in front of a guest's interpreter and compiled with it. Everything in it is position independent and
without writable data: what changes lies in the thread state and in the process block, which the loader puts right
behind the image (`pv_process`). It refuses to guess: a fault it cannot place goes to whoever handled it before.
"""

from __future__ import annotations

from polyvm.emit.chain import CHAIN
from polyvm.emit.handler import HANDLER
from polyvm.emit.safepoint import LOOKUP, STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# What an image must export for engine.native to find.
EXPORTS = (
    "pv_enter", "pv_run", "pv_resume", "pv_signal", "pv_kick", "pv_syscall", "pv_sys_begin", "pv_sys_end",
    "pv_sys_skip", "pv_sys_again", "pv_copy", "pv_strnlen", "pv_load32", "pv_swap32", "pv_cas32", "pv_ticks",
)  # fmt: skip

# Offsets in the kernel's ucontext (arch/x86/include/uapi/asm/sigcontext.h) and siginfo, and system call numbers.
HOST = {
    "uc.stack_sp": 16, "uc.stack_size": 32, "uc.r11": 64, "uc.rsp": 160, "uc.rip": 168, "uc.eflags": 176,
    "uc.err": 192, "uc.sigmask": 296,
    "si.code": 8, "si.addr": 16, "si.sender": 16, "si.value": 24,
    "nr.mprotect": 10, "nr.rt_sigaction": 13, "nr.sched_yield": 24, "nr.getpid": 39, "nr.kill": 62,
    "nr.rt_sigpending": 127, "nr.sigaltstack": 131, "nr.gettid": 186, "nr.tgkill": 234,
    "nr.rt_tgsigqueueinfo": 297,
    "SI_BREAKPOINT": 0x80, "BREAKPOINT_SIZE": 1, "TF": 0x100,
}  # fmt: skip

# Not LLVM: what has to be one exact instruction sequence, because the handler looks at the program counter in it.
ASSEMBLY = r"""
.text
.globl pv_enter, pv_resume, pv_syscall, pv_sys_begin, pv_sys_end, pv_sys_skip, pv_sys_again
.globl pv_copy, pv_strnlen, pv_load32, pv_swap32, pv_cas32

# u32 pv_enter(st): run guest code until it leaves; the reason. The stop flag is looked at in section pvg, where a
# signal that comes after the look single-steps on, so that none is lost on the way in.
.p2align 4
pv_enter:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  push %rdi
  mov %rsp, «st.host_sp»(%rdi)
  stmxcsr «st.mxcsr_host»(%rdi)
  ldmxcsr «st.mxcsr_guest»(%rdi)
  call pv_gate
# The signal handler comes here with the stack pointer of host_sp.
pv_resume:
  mov (%rsp), %rdi
  stmxcsr «st.mxcsr_guest»(%rdi)
  ldmxcsr «st.mxcsr_host»(%rdi)
  movq $0, «st.host_sp»(%rdi)
  mov «st.reason»(%rdi), %eax
  pop %rdi
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret

# i32 pv_ask(st, hook): call what is Python's, with Python's floating-point environment, as if native code were left.
.p2align 4
pv_ask:
  stmxcsr «st.mxcsr_guest»(%rdi)
  ldmxcsr «st.mxcsr_host»(%rdi)
  push %rdi
  push «st.host_sp»(%rdi)
  sub $8, %rsp
  movq $0, «st.host_sp»(%rdi)
  call *%rsi
  add $8, %rsp
  pop %rcx
  pop %rdi
  mov %rcx, «st.host_sp»(%rdi)
  ldmxcsr «st.mxcsr_guest»(%rdi)
  ret

# i64 pv_syscall(st, number, a0..a5): the restart window is sys_begin..sys_end. Before the kernel was entered, r11 is
# st; the kernel leaves the flags there, also when it moves the program counter back to restart the call.
.p2align 4
pv_syscall:
  mov %rdi, %r11
  mov %rsi, %rax
  mov %rdx, %rdi
  mov %rcx, %rsi
  mov %r8, %rdx
  mov %r9, %r10
  mov 8(%rsp), %r8
  mov 16(%rsp), %r9
pv_sys_begin:
  cmpl $0, «st.stop»(%r11)
  jne pv_sys_skip
  syscall
pv_sys_end:
  ret
pv_sys_skip:
  mov $«RESTART_ALWAYS», %rax
  ret
pv_sys_again:
  mov $«RESTART_SYSCALL», %rax
  ret

# u64 pv_copy(to, from, n): copy what can be copied; the number of bytes left. rep movsb keeps rcx exact in a fault.
.p2align 4
pv_copy:
  mov %rdx, %rcx
.Lcopy_from:
  rep movsb
.Lcopy_end:
  mov %rcx, %rax
  ret

# i64 pv_strnlen(from, n): bytes before the first NUL, at most n; ~k where byte k cannot be read.
.p2align 4
pv_strnlen:
  xor %eax, %eax
.Lscan:
  cmp %rsi, %rax
  jae .Lscan_out
.Lscan_from:
  cmpb $0, (%rdi,%rax)
.Lscan_end:
  je .Lscan_out
  inc %rax
  jmp .Lscan
.Lscan_out:
  ret
.Lscan_fault:
  not %rax
  ret

# i64 pv_load32(at), pv_swap32(at, new), pv_cas32(at, old, new): the old value, atomically, or -1.
pv_load32:
.Lload_from:
  mov (%rdi), %eax
.Lload_end:
  ret
pv_swap32:
  mov %esi, %eax
.Lswap_from:
  xchg %eax, (%rdi)
.Lswap_end:
  ret
pv_cas32:
  mov %esi, %eax
.Lcas_from:
  lock cmpxchg %edx, (%rdi)
.Lcas_end:
  mov %eax, %eax
  ret
.Lfault_all:
  mov $-1, %rax
  ret

.section pvx,"a",@progbits
.p2align 2
.long .Lcopy_from - ., .Lcopy_end - ., .Lcopy_end - .
.long .Lscan_from - ., .Lscan_end - ., .Lscan_fault - .
.long .Lload_from - ., .Lload_end - ., .Lfault_all - .
.long .Lswap_from - ., .Lswap_end - ., .Lfault_all - .
.long .Lcas_from - ., .Lcas_end - ., .Lfault_all - .
.text
"""

# Entry into guest code, and small things. In section pvg a stop flag that is set after it was looked at still counts.
ENTRY = r"""
@pv_process = external hidden global i8
declare hidden void @pv_resume()
declare hidden i32 @pv_enter(ptr)
declare hidden i32 @pv_ask(ptr, ptr)
declare hidden i64 @pv_syscall(ptr, i64, i64, i64, i64, i64, i64, i64)

; The processor's time stamp.
define hidden i64 @pv_ticks() #900 {
  %pair = call { i32, i32 } asm sideeffect "rdtsc", "={eax},={edx},~{dirflag},~{fpsr},~{flags}"()
  %low = extractvalue { i32, i32 } %pair, 0
  %high = extractvalue { i32, i32 } %pair, 1
  %low.i = zext i32 %low to i64
  %high.i = zext i32 %high to i64
  %up = shl i64 %high.i, 32
  %now = or i64 %up, %low.i
  ret i64 %now
}

define hidden void @pv_gate(ptr %st) #900 section "pvg" {
  %p.stop = getelementptr i8, ptr %st, i64 «st.stop»
  %stop = load atomic i32, ptr %p.stop monotonic, align 4
  %go = icmp eq i32 %stop, 0
  br i1 %go, label %where, label %leave
where: ; a handler may have returned to anywhere
  %p.limit = getelementptr i8, ptr %st, i64 «st.limit»
  %limit = load i64, ptr %p.limit
  %pc.any = load i64, ptr %st
  %pc = and i64 %pc.any, -2
  %inside = icmp ult i64 %pc, %limit
  br i1 %inside, label %enter, label %wild
wild:
  %p.value = getelementptr i8, ptr %st, i64 «st.value»
  store i64 %pc, ptr %p.value
  store i64 %pc, ptr %st
  %p.access = getelementptr i8, ptr %st, i64 «st.access»
  store i32 «FETCH», ptr %p.access
  %p.cause = getelementptr i8, ptr %st, i64 «st.cause»
  store i64 11, ptr %p.cause
  %p.wreason = getelementptr i8, ptr %st, i64 «st.reason»
  store i32 «reason.FAULT», ptr %p.wreason
  ret void
enter:
  %p.mem = getelementptr i8, ptr %st, i64 «st.mem_base»
  %mem = load ptr, ptr %p.mem
  %p.slots = getelementptr i8, ptr %st, i64 «st.slot_base»
  %slots = load ptr, ptr %p.slots
  %off = shl i64 %pc, «SLOT_SHIFT»
  %ip = getelementptr i8, ptr %slots, i64 %off
  %p.hb = getelementptr i8, ptr %st, i64 «st.hbase»
  %hb = load ptr, ptr %p.hb
  %p.budget = getelementptr i8, ptr %st, i64 «st.budget»
  %budget = load i64, ptr %p.budget
  %h.off = load i32, ptr %ip
  %h.off64 = sext i32 %h.off to i64
  %h = getelementptr i8, ptr %hb, i64 %h.off64
  tail call preserve_nonecc void %h(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget)
  ret void
leave:
  %p.reason = getelementptr i8, ptr %st, i64 «st.reason»
  store i32 «reason.STOP», ptr %p.reason
  ret void
}

; The kernel, four arguments.
define internal i64 @pv_raw(i64 %nr, i64 %a, i64 %b, i64 %c, i64 %d) alwaysinline #900 {
  %r = call i64 asm sideeffect "syscall", "={rax},{rax},{rdi},{rsi},{rdx},{r10},~{rcx},~{r11},~{memory}"(
    i64 %nr, i64 %a, i64 %b, i64 %c, i64 %d)
  ret i64 %r
}

; Copy bytes that can be read and written.
define internal void @pv_bytes(i64 %to, i64 %from, i64 %n) #900 {
  %r = call { i64, i64, i64 } asm sideeffect "rep movsb", "={rdi},={rsi},={rcx},{rdi},{rsi},{rcx},~{memory}"(
    i64 %to, i64 %from, i64 %n)
  ret void
}

; Put a breakpoint (int3) into code that nobody runs yet.
define internal void @pv_breakpoint(i64 %at) alwaysinline #900 {
  %p = inttoptr i64 %at to ptr
  store volatile i8 -52, ptr %p
  ret void
}

; Have the interrupted context stop after one instruction, or no longer (the trap flag).
define internal void @pv_trace(ptr %uc, i1 %on) alwaysinline #900 {
  %p.fl = getelementptr i8, ptr %uc, i64 «uc.eflags»
  %fl = load i64, ptr %p.fl
  %mask = xor i64 «TF», -1
  %fl0 = and i64 %fl, %mask
  %fl1 = or i64 %fl, «TF»
  %new = select i1 %on, i64 %fl1, i64 %fl0
  store i64 %new, ptr %p.fl
  ret void
}

; What the faulting access was, from the page-fault error code (bit 1 write, bit 4 fetch).
define internal i32 @pv_access(ptr %uc) alwaysinline #900 {
  %p.err = getelementptr i8, ptr %uc, i64 «uc.err»
  %err = load i64, ptr %p.err
  %write = and i64 %err, 2
  %w = icmp ne i64 %write, 0
  %fetch = and i64 %err, 16
  %f = icmp ne i64 %fetch, 0
  %rw = select i1 %w, i32 «WRITE», i32 «READ»
  %access = select i1 %f, i32 «FETCH», i32 %rw
  ret i32 %access
}

; Enter guest code, but first see that the signals are still ours and the alternate stack still holds our record:
; faulthandler, wasmtime and others take them whenever they are imported. LOST when something has to be put back.
define hidden i32 @pv_run(ptr %st) #900 {
entry:
  %act = alloca [4 x i64]
  %act.i = ptrtoint ptr %act to i64
  %p.process = getelementptr i8, ptr %st, i64 «st.process»
  %process = load ptr, ptr %p.process
  %p.handler = getelementptr i8, ptr %process, i64 «process.handler»
  %handler = load i64, ptr %p.handler
  %watch = getelementptr i8, ptr %process, i64 «process.watch»
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %look ]
  %p.sig = getelementptr i8, ptr %watch, i64 %i
  %sig = load i8, ptr %p.sig
  %end = icmp eq i8 %sig, 0
  br i1 %end, label %stack, label %look
look:
  %sig.i = zext i8 %sig to i64
  %r = call i64 @pv_raw(i64 «nr.rt_sigaction», i64 %sig.i, i64 0, i64 %act.i, i64 8)
  %now = load volatile i64, ptr %act
  %ours = icmp eq i64 %now, %handler
  %i1 = add i64 %i, 1
  br i1 %ours, label %next, label %lost
stack: ; the record at its base says who runs on this thread: us from now on, and whoever it was afterwards
  %r2 = call i64 @pv_raw(i64 «nr.sigaltstack», i64 0, i64 %act.i, i64 0, i64 0)
  %p.size = getelementptr i8, ptr %act, i64 16
  %size = load volatile i64, ptr %p.size
  %sized = icmp eq i64 %size, «ALT_SIZE»
  br i1 %sized, label %record, label %lost
record:
  %base = load volatile ptr, ptr %act
  %magic = load i64, ptr %base
  %marked = icmp eq i64 %magic, «ALT_MAGIC»
  br i1 %marked, label %go, label %lost
go:
  %p.st = getelementptr i8, ptr %base, i64 «ALT_STATE»
  %outer = load volatile ptr, ptr %p.st
  %p.rtid = getelementptr i8, ptr %base, i64 «ALT_TID»
  %tid = load i32, ptr %p.rtid
  %p.tid = getelementptr i8, ptr %st, i64 «st.tid»
  store atomic i32 %tid, ptr %p.tid monotonic, align 4
  store volatile ptr %st, ptr %p.st
  %reason = call i32 @pv_enter(ptr %st)
  store volatile ptr %outer, ptr %p.st
  ret i32 %reason
lost:
  ret i32 «reason.LOST»
}

; Set the stop flag of a thread and make it look: by a signal that carries the process block's address as its value,
; and the state's in place of its sender.
define hidden i64 @pv_kick(ptr %st) #900 {
  %info = alloca [16 x i64]
  store [16 x i64] zeroinitializer, ptr %info
  %p.stop = getelementptr i8, ptr %st, i64 «st.stop»
  store atomic i32 1, ptr %p.stop seq_cst, align 4
  %p.tid = getelementptr i8, ptr %st, i64 «st.tid»
  %tid = load atomic i32, ptr %p.tid monotonic, align 4
  %tid.i = zext i32 %tid to i64
  %p.process = getelementptr i8, ptr %st, i64 «st.process»
  %process = load ptr, ptr %p.process
  %p.signo = getelementptr i8, ptr %process, i64 «process.kick_signo»
  %signo = load i32, ptr %p.signo
  %signo.i = zext i32 %signo to i64
  store i32 %signo, ptr %info
  %p.code = getelementptr i8, ptr %info, i64 «si.code»
  store i32 -1, ptr %p.code
  %p.value = getelementptr i8, ptr %info, i64 «si.value»
  store ptr %process, ptr %p.value
  %p.who = getelementptr i8, ptr %info, i64 «si.sender»
  store ptr %st, ptr %p.who
  %none = icmp eq i32 %tid, 0
  br i1 %none, label %out, label %send
send:
  %info.i = ptrtoint ptr %info to i64
  %pid = call i64 @pv_raw(i64 «nr.getpid», i64 0, i64 0, i64 0, i64 0)
  %r = call i64 @pv_raw(i64 «nr.rt_tgsigqueueinfo», i64 %pid, i64 %tid.i, i64 %signo.i, i64 %info.i)
  ret i64 %r
out:
  ret i64 0
}
"""

# The way into a program that has no Python: the kernel starts it here, with the stack pointer at its arguments. And
# what a signal handler returns to (SA_RESTORER).
START = r"""
.text
.globl pv_start, pv_restorer
pv_start:
  xor %ebp, %ebp
  mov %rsp, %rdi
  and $-16, %rsp
  call begin
  ud2
.p2align 4
pv_restorer:
  mov $15, %eax
  syscall
"""

# i64 pv_host(number, a0..a5): the kernel.
KERNEL = r"""
define internal i64 @pv_host(i64 %nr, i64 %a, i64 %b, i64 %c, i64 %d, i64 %e, i64 %f) alwaysinline {
  %r = call i64 asm sideeffect "syscall",
    "={rax},{rax},{rdi},{rsi},{rdx},{r10},{r8},{r9},~{rcx},~{r11},~{memory}"(
    i64 %nr, i64 %a, i64 %b, i64 %c, i64 %d, i64 %e, i64 %f)
  ret i64 %r
}
"""

ATTRIBUTES = 'attributes #900 = { nounwind "no-builtins" "frame-pointer"="none" }\n'


def _assembly(text: str) -> str:
    quoted = text.strip().replace('"', r"\22").splitlines()
    return "".join(f'module asm "{line}"\n' for line in quoted)


def start_ir() -> str:
    """What a program without Python needs of its host, as LLVM text: pv_start, which calls `begin`, and pv_host."""
    return _assembly(START) + KERNEL


def runtime_ir(layout: Mapping[str, int]) -> str:
    """The runtime as LLVM text; layout gives the offsets and constants by name (engine.layout.names())."""
    text = _assembly(ASSEMBLY) + ENTRY + LOOKUP + STOP + HANDLER + CHAIN + ATTRIBUTES
    text = text.replace("?", ".test")
    for name, value in {**HOST, **layout}.items():
        text = text.replace(f"«{name}»", str(value))
    if "«" in text:
        missing = text[text.index("«") + 1 : text.index("»")]
        raise KeyError(missing)
    return text
