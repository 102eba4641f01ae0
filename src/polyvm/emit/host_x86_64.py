"""The native runtime of an x86-64 Linux host, as LLVM text: entering and leaving guest code, and its signal handler.

The text is put in front of a guest's interpreter and compiled with it. Everything in it is position independent and
without writable data: what changes lies in the thread state and in the process block, which the loader puts right
behind the image (`pv_process`). It refuses to guess: a fault it cannot place goes to whoever handled it before.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# What an image must export for engine.native to find.
EXPORTS = (
    "pv_enter", "pv_run", "pv_resume", "pv_signal", "pv_kick", "pv_syscall", "pv_sys_begin", "pv_sys_end",
    "pv_sys_skip", "pv_sys_again", "pv_copy", "pv_strnlen", "pv_load32", "pv_swap32", "pv_cas32",
)  # fmt: skip

# Offsets in the kernel's ucontext (arch/x86/include/uapi/asm/sigcontext.h) and siginfo, and system call numbers.
HOST = {
    "uc.stack_sp": 16, "uc.stack_size": 32, "uc.r11": 64, "uc.rsp": 160, "uc.rip": 168, "uc.eflags": 176,
    "uc.err": 192, "uc.sigmask": 296,
    "si.code": 8, "si.addr": 16, "si.value": 24,
    "nr.rt_sigaction": 13, "nr.getpid": 39, "nr.kill": 62, "nr.rt_sigpending": 127, "nr.sigaltstack": 131,
    "nr.gettid": 186, "nr.tgkill": 234, "nr.rt_tgsigqueueinfo": 297,
    "TF": 0x100,
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

define hidden void @pv_gate(ptr %st) #900 section "pvg" {
  %p.stop = getelementptr i8, ptr %st, i64 «st.stop»
  %stop = load atomic i32, ptr %p.stop monotonic, align 4
  %go = icmp eq i32 %stop, 0
  br i1 %go, label %enter, label %leave
enter:
  %p.mem = getelementptr i8, ptr %st, i64 «st.mem_base»
  %mem = load ptr, ptr %p.mem
  %p.slots = getelementptr i8, ptr %st, i64 «st.slot_base»
  %slots = load ptr, ptr %p.slots
  %pc = load i64, ptr %st
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
define internal i64 @pv_raw(i64 %nr, i64 %a, i64 %b, i64 %c, i64 %d) #900 alwaysinline {
  %r = call i64 asm sideeffect "syscall", "={rax},{rax},{rdi},{rsi},{rdx},{r10},~{rcx},~{r11},~{memory}"(
    i64 %nr, i64 %a, i64 %b, i64 %c, i64 %d)
  ret i64 %r
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

; Set the stop flag of a thread and make it look: by a signal that carries the state's address as its value.
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
  store ptr %st, ptr %p.value
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

# Tables: which image, unit, window or entry a host PC belongs to. Only the handler calls these.
LOOKUP = r"""
; The process block of the image that contains a host PC, or null. %own: the first block of the chain.
define internal ptr @pv_image(ptr %own, i64 %rip) #900 {
entry:
  br label %next
next:
  %p = phi ptr [ %own, %entry ], [ %after, %miss ]
  %none = icmp eq ptr %p, null
  br i1 %none, label %out, label %look
look:
  %p.start = getelementptr i8, ptr %p, i64 «process.image_start»
  %start = load i64, ptr %p.start
  %p.end = getelementptr i8, ptr %p, i64 «process.image_end»
  %end = load i64, ptr %p.end
  %a = icmp uge i64 %rip, %start
  %b = icmp ult i64 %rip, %end
  %in = and i1 %a, %b
  br i1 %in, label %out, label %miss
miss:
  %p.next = getelementptr i8, ptr %p, i64 «process.next»
  %after = load ptr, ptr %p.next
  br label %next
out:
  ret ptr %p
}

; The recovery address of the fault window around a host PC, or 0.
define internal i64 @pv_window(ptr %p, i64 %rip) #900 {
entry:
  %base = load i64, ptr %p
  %off = sub i64 %rip, %base
  %p.table = getelementptr i8, ptr %p, i64 «process.windows»
  %table = load ptr, ptr %p.table
  %p.n = getelementptr i8, ptr %p, i64 «process.window_count»
  %n = load i64, ptr %p.n
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %look ]
  %more = icmp ult i64 %i, %n
  br i1 %more, label %look, label %none
look:
  %i1 = add i64 %i, 1
  %at = getelementptr [3 x i32], ptr %table, i64 %i
  %from = load i32, ptr %at
  %from.i = zext i32 %from to i64
  %p.end = getelementptr i8, ptr %at, i64 4
  %end = load i32, ptr %p.end
  %end.i = zext i32 %end to i64
  %a = icmp uge i64 %off, %from.i
  %b = icmp ult i64 %off, %end.i
  %in = and i1 %a, %b
  br i1 %in, label %found, label %next
found:
  %p.to = getelementptr i8, ptr %at, i64 8
  %to = load i32, ptr %p.to
  %to.i = zext i32 %to to i64
  %there = add i64 %base, %to.i
  ret i64 %there
none:
  ret i64 0
}

; Around every look into the table of ranges: an old one may be freed when nobody reads.
define internal void @pv_reading(ptr %p, i32 %n) #900 alwaysinline {
  %p.readers = getelementptr i8, ptr %p, i64 «process.readers»
  %old = atomicrmw add ptr %p.readers, i32 %n seq_cst
  ret void
}

; The range (of a compiled unit) that contains a host PC, or null. The table is replaced as a whole, never changed.
define internal ptr @pv_range(ptr %p, i64 %rip) #900 {
entry:
  %p.table = getelementptr i8, ptr %p, i64 «process.ranges»
  %table = load atomic ptr, ptr %p.table seq_cst, align 8
  %none = icmp eq ptr %table, null
  br i1 %none, label %miss, label %start
start:
  %n = load i64, ptr %table
  %first = getelementptr i8, ptr %table, i64 16
  br label %next
next:
  %lo = phi i64 [ 0, %start ], [ %lo1, %step ]
  %hi = phi i64 [ %n, %start ], [ %hi1, %step ]
  %more = icmp ult i64 %lo, %hi
  br i1 %more, label %step, label %done
step:
  %sum = add i64 %lo, %hi
  %mid = lshr i64 %sum, 1
  %mid.o = mul i64 %mid, «RANGE_SIZE»
  %mid.p = getelementptr i8, ptr %first, i64 %mid.o
  %mid.pe = getelementptr i8, ptr %mid.p, i64 «range.end»
  %mid.end = load i64, ptr %mid.pe
  %past = icmp ule i64 %mid.end, %rip
  %mid1 = add i64 %mid, 1
  %lo1 = select i1 %past, i64 %mid1, i64 %lo
  %hi1 = select i1 %past, i64 %hi, i64 %mid
  br label %next
done:
  %inside = icmp ult i64 %lo, %n
  br i1 %inside, label %check, label %miss
check:
  %off = mul i64 %lo, «RANGE_SIZE»
  %at = getelementptr i8, ptr %first, i64 %off
  %at.start = load i64, ptr %at
  %ok = icmp ule i64 %at.start, %rip
  br i1 %ok, label %found, label %miss
found:
  ret ptr %at
miss:
  ret ptr null
}

; The recovery address that a table of u32 pairs has for exactly this host PC, or 0.
define internal i64 @pv_pair(ptr %table, i32 %count, i64 %base, i64 %rip) #900 {
entry:
  %off = sub i64 %rip, %base
  %key = trunc i64 %off to i32
  br label %next
next:
  %lo = phi i32 [ 0, %entry ], [ %lo1, %step ]
  %hi = phi i32 [ %count, %entry ], [ %hi1, %step ]
  %more = icmp ult i32 %lo, %hi
  br i1 %more, label %step, label %done
step:
  %sum = add i32 %lo, %hi
  %mid = lshr i32 %sum, 1
  %mid.i = zext i32 %mid to i64
  %mid.p = getelementptr [2 x i32], ptr %table, i64 %mid.i
  %mid.key = load i32, ptr %mid.p
  %less = icmp ult i32 %mid.key, %key
  %mid1 = add i32 %mid, 1
  %lo1 = select i1 %less, i32 %mid1, i32 %lo
  %hi1 = select i1 %less, i32 %hi, i32 %mid
  br label %next
done:
  %inside = icmp ult i32 %lo, %count
  br i1 %inside, label %check, label %miss
check:
  %lo.i = zext i32 %lo to i64
  %at = getelementptr [2 x i32], ptr %table, i64 %lo.i
  %at.key = load i32, ptr %at
  %same = icmp eq i32 %at.key, %key
  br i1 %same, label %found, label %miss
found:
  %p.to = getelementptr i8, ptr %at, i64 4
  %to = load i32, ptr %p.to
  %to.i = zext i32 %to to i64
  %there = add i64 %base, %to.i
  ret i64 %there
miss:
  ret i64 0
}
"""

# The handler of every signal that is ours, with all others blocked while it runs.
HANDLER = r"""
define hidden void @pv_signal(i32 %sig, ptr %si, ptr %uc) #900 {
entry:
  %p.rip = getelementptr i8, ptr %uc, i64 «uc.rip»
  %rip = load i64, ptr %p.rip
  %p.code = getelementptr i8, ptr %si, i64 «si.code»
  %code = load i32, ptr %p.code
  ; Whose thread is it? The record stands at the base of an alternate stack that only we make in this size.
  %p.size = getelementptr i8, ptr %uc, i64 «uc.stack_size»
  %size = load i64, ptr %p.size
  %sized = icmp eq i64 %size, «ALT_SIZE»
  br i1 %sized, label %record, label %known
record:
  %p.base = getelementptr i8, ptr %uc, i64 «uc.stack_sp»
  %base = load ptr, ptr %p.base
  %magic = load i64, ptr %base
  %ours = icmp eq i64 %magic, «ALT_MAGIC»
  br i1 %ours, label %thread, label %known
thread:
  %p.st = getelementptr i8, ptr %base, i64 «ALT_STATE»
  %st.t = load ptr, ptr %p.st
  %idle = icmp eq ptr %st.t, null
  br i1 %idle, label %known, label %busy
busy:
  %p.pr = getelementptr i8, ptr %st.t, i64 «st.process»
  %pr.t = load ptr, ptr %p.pr
  br label %known
known:
  %st = phi ptr [ null, %entry ], [ null, %record ], [ null, %thread ], [ %st.t, %busy ]
  %pr = phi ptr [ @pv_process, %entry ], [ @pv_process, %record ], [ @pv_process, %thread ], [ %pr.t, %busy ]
  %has = icmp ne ptr %st, null
  %hard = icmp sgt i32 %code, 0
  br i1 %hard, label %kernel, label %soft

kernel: ; the kernel says so: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV are this very instruction's
  switch i32 %sig, label %soft [
    i32 4, label %wild
    i32 5, label %trap
    i32 7, label %fault
    i32 8, label %wild
    i32 11, label %fault
  ]

trap:
  br i1 %has, label %trap.st, label %wild
trap.st:
  %p.stepping = getelementptr i8, ptr %st, i64 «st.stepping»
  %stepping = load i32, ptr %p.stepping
  %stepped = icmp ne i32 %stepping, 0
  br i1 %stepped, label %trap.step, label %wild
trap.step:
  %p.steps = getelementptr i8, ptr %st, i64 «st.steps»
  %steps = load i64, ptr %p.steps
  %steps1 = add i64 %steps, 1
  store i64 %steps1, ptr %p.steps
  call void @pv_step(ptr %st, ptr %pr, ptr %uc)
  ret void

fault:
  %p.addr = getelementptr i8, ptr %si, i64 «si.addr»
  %addr = load i64, ptr %p.addr
  %img = call ptr @pv_image(ptr @pv_process, i64 %rip)
  %in.img = icmp ne ptr %img, null
  br i1 %in.img, label %fault.image, label %fault.unit
fault.image:
  %fix = call i64 @pv_window(ptr %img, i64 %rip)
  %fixed = icmp ne i64 %fix, 0
  br i1 %fixed, label %fault.window, label %fault.guest
fault.window:
  store i64 %fix, ptr %p.rip
  ret void
fault.guest: ; tier 0: whole state is in memory, so native code is simply left
  br i1 %has, label %fault.guest.st, label %wild
fault.guest.st:
  %p.sp = getelementptr i8, ptr %st, i64 «st.host_sp»
  %sp = load i64, ptr %p.sp
  %running = icmp ne i64 %sp, 0
  %inside = call i1 @pv_guest(ptr %st, i64 %addr)
  %mine = and i1 %running, %inside
  br i1 %mine, label %fault.leave, label %wild
fault.leave:
  call void @pv_note(i32 %sig, ptr %st, ptr %uc, i64 %addr)
  %p.ip = getelementptr i8, ptr %st, i64 «st.ip»
  %ip = load i64, ptr %p.ip
  %p.slots = getelementptr i8, ptr %st, i64 «st.slot_base»
  %slots = load i64, ptr %p.slots
  %ip.off = sub i64 %ip, %slots
  %pc = lshr i64 %ip.off, «SLOT_SHIFT»
  store i64 %pc, ptr %st
  %p.rsp = getelementptr i8, ptr %uc, i64 «uc.rsp»
  store i64 %sp, ptr %p.rsp
  %p.resume = getelementptr i8, ptr %pr, i64 «process.resume»
  %resume = load i64, ptr %p.resume
  store i64 %resume, ptr %p.rip
  call void @pv_calm(ptr %st, ptr %uc)
  ret void
fault.unit: ; tier 2: the unit knows how to leave from this instruction
  br i1 %has, label %fault.unit.st, label %wild
fault.unit.st:
  call void @pv_reading(ptr %pr, i32 1)
  %range = call ptr @pv_range(ptr %pr, i64 %rip)
  %in.unit = icmp ne ptr %range, null
  %guest = call i1 @pv_guest(ptr %st, i64 %addr)
  %both = and i1 %in.unit, %guest
  br i1 %both, label %fault.unit.look, label %fault.unit.miss
fault.unit.miss:
  call void @pv_reading(ptr %pr, i32 -1)
  br label %wild
fault.unit.look:
  %u.base = load i64, ptr %range
  %p.faults = getelementptr i8, ptr %range, i64 «range.faults»
  %faults = load ptr, ptr %p.faults
  %p.count = getelementptr i8, ptr %range, i64 «range.fault_count»
  %count = load i32, ptr %p.count
  %to = call i64 @pv_pair(ptr %faults, i32 %count, i64 %u.base, i64 %rip)
  call void @pv_reading(ptr %pr, i32 -1)
  %listed = icmp ne i64 %to, 0
  br i1 %listed, label %fault.unit.leave, label %wild
fault.unit.leave:
  call void @pv_note(i32 %sig, ptr %st, ptr %uc, i64 %addr)
  store i64 %to, ptr %p.rip
  call void @pv_calm(ptr %st, ptr %uc)
  ret void

wild:
  call void @pv_chain(i32 %sig, ptr %si, ptr %uc, i64 %rip, i1 true)
  ret void

soft: ; somebody sent it
  %p.kick = getelementptr i8, ptr %pr, i64 «process.kick_signo»
  %kick = load i32, ptr %p.kick
  %k1 = icmp eq i32 %sig, %kick
  %k2 = icmp eq i32 %code, -1
  %k12 = and i1 %k1, %k2
  br i1 %k12, label %kick.value, label %policy
kick.value: ; the flag is set; it need not be this thread's state that is meant, or not any more
  %p.value = getelementptr i8, ptr %si, i64 «si.value»
  %value = load ptr, ptr %p.value
  %k3 = icmp eq ptr %value, %st
  %kicked = and i1 %k3, %has
  br i1 %kicked, label %stop, label %policy
policy:
  %p.policies = getelementptr i8, ptr @pv_process, i64 «process.policy»
  %sig.i = zext i32 %sig to i64
  %p.policy = getelementptr i8, ptr %p.policies, i64 %sig.i
  %pol = load i8, ptr %p.policy
  %pol.queue = and i8 %pol, «POLICY_QUEUE»
  %queue = icmp ne i8 %pol.queue, 0
  %pol.stop = and i8 %pol, «POLICY_STOP»
  %stops = icmp ne i8 %pol.stop, 0
  %pol.chain = and i8 %pol, «POLICY_CHAIN»
  %chains = icmp ne i8 %pol.chain, 0
  br i1 %has, label %queue?, label %forward?
forward?: ; no guest thread: hand it to one
  %pol.fwd = and i8 %pol, «POLICY_FORWARD»
  %fwd = icmp ne i8 %pol.fwd, 0
  %p.main = getelementptr i8, ptr @pv_process, i64 «process.main_tid»
  %main = load i32, ptr %p.main
  %main.i = zext i32 %main to i64
  %me = call i64 @pv_raw(i64 «nr.gettid», i64 0, i64 0, i64 0, i64 0)
  %other = icmp ne i64 %main.i, %me
  %to.main = icmp ne i32 %main, 0
  %f1 = and i1 %fwd, %other
  %f2 = and i1 %f1, %to.main
  br i1 %f2, label %forward, label %chain?
forward:
  %pid = call i64 @pv_raw(i64 «nr.getpid», i64 0, i64 0, i64 0, i64 0)
  %si.i = ptrtoint ptr %si to i64
  %sent = call i64 @pv_raw(i64 «nr.rt_tgsigqueueinfo», i64 %pid, i64 %main.i, i64 %sig.i, i64 %si.i)
  ret void
queue?:
  br i1 %queue, label %enqueue, label %stop?
enqueue:
  call void @pv_queue(i32 %sig, ptr %si, ptr %st, ptr %uc)
  br label %stop
stop?:
  br i1 %stops, label %stop, label %chain?
stop:
  %chains.s = phi i1 [ false, %kick.value ], [ %chains, %enqueue ], [ %chains, %stop? ]
  %p.stop = getelementptr i8, ptr %st, i64 «st.stop»
  store atomic i32 1, ptr %p.stop seq_cst, align 4
  call void @pv_rewind(ptr %st, ptr %pr, ptr %uc)
  call void @pv_step(ptr %st, ptr %pr, ptr %uc)
  br i1 %chains.s, label %chain, label %out
chain?:
  br i1 %chains, label %chain, label %out
chain:
  call void @pv_chain(i32 %sig, ptr %si, ptr %uc, i64 %rip, i1 false)
  ret void
out:
  ret void
}

; Is a host address one that guest code can reach: its space, and the guards that confined accesses run into?
define internal i1 @pv_guest(ptr %st, i64 %addr) #900 {
  %p.mem = getelementptr i8, ptr %st, i64 «st.mem_base»
  %mem = load i64, ptr %p.mem
  %p.limit = getelementptr i8, ptr %st, i64 «st.limit»
  %limit = load i64, ptr %p.limit
  %off = sub i64 %addr, %mem
  %off.g = add i64 %off, 4294967296
  %limit.g = add i64 %limit, 6442450944
  %in = icmp ult i64 %off.g, %limit.g
  ret i1 %in
}

; Write down a guest fault; the access comes from the page-fault error code (bit 1 write, bit 4 fetch).
define internal void @pv_note(i32 %sig, ptr %st, ptr %uc, i64 %addr) #900 {
  %p.mem = getelementptr i8, ptr %st, i64 «st.mem_base»
  %mem = load i64, ptr %p.mem
  %off = sub i64 %addr, %mem
  %p.value = getelementptr i8, ptr %st, i64 «st.value»
  store i64 %off, ptr %p.value
  %p.rip = getelementptr i8, ptr %uc, i64 «uc.rip»
  %rip = load i64, ptr %p.rip
  %p.err = getelementptr i8, ptr %uc, i64 «uc.err»
  %err = load i64, ptr %p.err
  %w = lshr i64 %err, 1
  %w1 = and i64 %w, 1
  %f = and i64 %err, 16
  %fetch.err = icmp ne i64 %f, 0
  ; what faults in the decoder is the guest's fetch
  %p.process = getelementptr i8, ptr %st, i64 «st.process»
  %process = load ptr, ptr %p.process
  %p.ds = getelementptr i8, ptr %process, i64 «process.decode_start»
  %ds = load i64, ptr %p.ds
  %p.de = getelementptr i8, ptr %process, i64 «process.decode_end»
  %de = load i64, ptr %p.de
  %d1 = icmp uge i64 %rip, %ds
  %d2 = icmp ult i64 %rip, %de
  %decode = and i1 %d1, %d2
  %fetch = or i1 %fetch.err, %decode
  %acc = select i1 %fetch, i64 «FETCH», i64 %w1
  %acc.i = trunc i64 %acc to i32
  %p.access = getelementptr i8, ptr %st, i64 «st.access»
  store i32 %acc.i, ptr %p.access
  %sig.i = zext i32 %sig to i64
  %p.cause = getelementptr i8, ptr %st, i64 «st.cause»
  store i64 %sig.i, ptr %p.cause
  %p.frip = getelementptr i8, ptr %st, i64 «st.fault_rip»
  store i64 %rip, ptr %p.frip
  %p.reason = getelementptr i8, ptr %st, i64 «st.reason»
  store i32 «reason.FAULT», ptr %p.reason
  %p.n = getelementptr i8, ptr %st, i64 «st.faults»
  %n = load i64, ptr %p.n
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %p.n
  ret void
}

; Stop single-stepping.
define internal void @pv_calm(ptr %st, ptr %uc) #900 {
  %p.stepping = getelementptr i8, ptr %st, i64 «st.stepping»
  %stepping = load i32, ptr %p.stepping
  %no = icmp eq i32 %stepping, 0
  br i1 %no, label %out, label %clear
clear:
  store i32 0, ptr %p.stepping
  %p.fl = getelementptr i8, ptr %uc, i64 «uc.eflags»
  %fl = load i64, ptr %p.fl
  %mask = xor i64 «TF», -1
  %fl0 = and i64 %fl, %mask
  store i64 %fl0, ptr %p.fl
  br label %out
out:
  ret void
}

; With the stop flag set: in a unit leave at a safepoint, or step on to the next; in the gate step on; else be calm,
; because everything else looks at the flag by itself.
define internal void @pv_step(ptr %st, ptr %pr, ptr %uc) #900 {
  call void @pv_reading(ptr %pr, i32 1)
  %p.rip = getelementptr i8, ptr %uc, i64 «uc.rip»
  %rip = load i64, ptr %p.rip
  %range = call ptr @pv_range(ptr %pr, i64 %rip)
  %in = icmp ne ptr %range, null
  br i1 %in, label %unit, label %gate
unit:
  %base = load i64, ptr %range
  %p.points = getelementptr i8, ptr %range, i64 «range.points»
  %points = load ptr, ptr %p.points
  %p.count = getelementptr i8, ptr %range, i64 «range.point_count»
  %count = load i32, ptr %p.count
  %to = call i64 @pv_pair(ptr %points, i32 %count, i64 %base, i64 %rip)
  call void @pv_reading(ptr %pr, i32 -1)
  %point = icmp ne i64 %to, 0
  br i1 %point, label %leave, label %on
leave:
  store i64 %to, ptr %p.rip
  %p.reason = getelementptr i8, ptr %st, i64 «st.reason»
  store i32 «reason.STOP», ptr %p.reason
  br label %calm
gate:
  call void @pv_reading(ptr %pr, i32 -1)
  %p.gs = getelementptr i8, ptr %pr, i64 «process.gate_start»
  %gs = load i64, ptr %p.gs
  %p.ge = getelementptr i8, ptr %pr, i64 «process.gate_end»
  %ge = load i64, ptr %p.ge
  %a = icmp uge i64 %rip, %gs
  %b = icmp ult i64 %rip, %ge
  %ab = and i1 %a, %b
  br i1 %ab, label %on, label %calm
on:
  %p.stepping = getelementptr i8, ptr %st, i64 «st.stepping»
  store i32 1, ptr %p.stepping
  %p.fl = getelementptr i8, ptr %uc, i64 «uc.eflags»
  %fl = load i64, ptr %p.fl
  %fl1 = or i64 %fl, «TF»
  store i64 %fl1, ptr %p.fl
  ret void
calm:
  call void @pv_calm(ptr %st, ptr %uc)
  ret void
}

; In the window of pv_syscall: do not enter the kernel, or (entered before: r11 is no longer st) do not restart.
define internal void @pv_rewind(ptr %st, ptr %pr, ptr %uc) #900 {
  %p.rip = getelementptr i8, ptr %uc, i64 «uc.rip»
  %rip = load i64, ptr %p.rip
  %p.begin = getelementptr i8, ptr %pr, i64 «process.sys_begin»
  %begin = load i64, ptr %p.begin
  %p.end = getelementptr i8, ptr %pr, i64 «process.sys_end»
  %end = load i64, ptr %p.end
  %a = icmp uge i64 %rip, %begin
  %b = icmp ult i64 %rip, %end
  %ab = and i1 %a, %b
  br i1 %ab, label %in, label %out
in:
  %p.r11 = getelementptr i8, ptr %uc, i64 «uc.r11»
  %r11 = load ptr, ptr %p.r11
  %fresh = icmp eq ptr %r11, %st
  %p.skip = getelementptr i8, ptr %pr, i64 «process.sys_skip»
  %skip = load i64, ptr %p.skip
  %p.again = getelementptr i8, ptr %pr, i64 «process.sys_again»
  %again = load i64, ptr %p.again
  %to = select i1 %fresh, i64 %skip, i64 %again
  store i64 %to, ptr %p.rip
  br label %out
out:
  ret void
}

; Append to the thread's queue. One entry before it is full, further signals are blocked, so that the kernel keeps
; them until the queue is drained; should one come all the same, which it was is remembered, and that it was lost.
define internal void @pv_queue(i32 %sig, ptr %si, ptr %st, ptr %uc) #900 {
  %p.head = getelementptr i8, ptr %st, i64 «st.sig_head»
  %head = load atomic i32, ptr %p.head acquire, align 4
  %p.tail = getelementptr i8, ptr %st, i64 «st.sig_tail»
  %tail = load i32, ptr %p.tail
  %n = sub i32 %tail, %head
  %room = icmp ult i32 %n, «QUEUE_ENTRIES»
  br i1 %room, label %put, label %full
put:
  %i = urem i32 %tail, «QUEUE_ENTRIES»
  %i.i = zext i32 %i to i64
  %off = mul i64 %i.i, «QUEUE_ENTRY»
  %off.q = add i64 %off, «QUEUE»
  %at = getelementptr i8, ptr %st, i64 %off.q
  store i32 %sig, ptr %at
  %info = load <16 x i64>, ptr %si, align 8
  %p.info = getelementptr i8, ptr %at, i64 «QUEUE_INFO»
  store <16 x i64> %info, ptr %p.info, align 8
  %tail1 = add i32 %tail, 1
  store atomic i32 %tail1, ptr %p.tail release, align 4
  %n1 = add i32 %n, 2
  %near = icmp uge i32 %n1, «QUEUE_ENTRIES»
  br i1 %near, label %hold?, label %out
hold?:
  %p.held = getelementptr i8, ptr %st, i64 «st.sig_held»
  %held = load i32, ptr %p.held
  %done = icmp ne i32 %held, 0
  br i1 %done, label %out, label %hold
hold:
  %p.mask = getelementptr i8, ptr %uc, i64 «uc.sigmask»
  %mask = load i64, ptr %p.mask
  %p.keep = getelementptr i8, ptr %st, i64 «st.sigmask»
  store i64 %mask, ptr %p.keep
  store i32 1, ptr %p.held
  ; all but SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV (bits 3, 4, 6, 7, 10) and the kick
  %p.process = getelementptr i8, ptr %st, i64 «st.process»
  %process = load ptr, ptr %p.process
  %p.kick = getelementptr i8, ptr %process, i64 «process.kick_signo»
  %kick = load i32, ptr %p.kick
  %kick1 = sub i32 %kick, 1
  %kick.i = zext i32 %kick1 to i64
  %kick.bit = shl i64 1, %kick.i
  %open = or i64 %kick.bit, 1240
  %close = xor i64 %open, -1
  %mask1 = or i64 %mask, %close
  store i64 %mask1, ptr %p.mask
  br label %out
full:
  %sig1 = sub i32 %sig, 1
  %sig.i = zext i32 %sig1 to i64
  %bit = shl i64 1, %sig.i
  %p.lost = getelementptr i8, ptr %st, i64 «st.sig_lost»
  %lost = load i64, ptr %p.lost
  %lost1 = or i64 %lost, %bit
  store i64 %lost1, ptr %p.lost
  %p.drop = getelementptr i8, ptr %st, i64 «st.sig_dropped»
  %drop = load i32, ptr %p.drop
  %drop1 = add i32 %drop, 1
  store i32 %drop1, ptr %p.drop
  br label %out
out:
  ret void
}
"""

# Handing a signal on to whoever had it before us.
CHAIN = r"""
; There may be two: `later`, who took the signal from us and was displaced again, and `first`, who had it before us.
; later usually calls what it displaced, which is us: inside it (nested), or by raising the signal again when it is
; done (faulthandler). Both are seen, and the second time around `first` is meant.
define internal void @pv_chain(i32 %sig, ptr %si, ptr %uc, i64 %rip, i1 %sync) #900 {
entry:
  %sig.i = zext i32 %sig to i64
  %p.tid = getelementptr i8, ptr @pv_process, i64 «process.chain_tid»
  %p.level = getelementptr i8, ptr @pv_process, i64 «process.chain_level»
  %p.rrip = getelementptr i8, ptr @pv_process, i64 «process.raised_rip»
  %p.rtid = getelementptr i8, ptr @pv_process, i64 «process.raised_tid»
  %p.count = getelementptr i8, ptr @pv_process, i64 «process.chained»
  %count = load i64, ptr %p.count
  %count1 = add i64 %count, 1
  store i64 %count1, ptr %p.count
  %tid.l = call i64 @pv_raw(i64 «nr.gettid», i64 0, i64 0, i64 0, i64 0)
  %tid = trunc i64 %tid.l to i32
  %in.tid = load i32, ptr %p.tid
  %nested = icmp eq i32 %in.tid, %tid
  %r.rip = load i64, ptr %p.rrip
  %r.tid = load i32, ptr %p.rtid
  %r1 = icmp eq i32 %r.tid, %tid
  %r2 = icmp eq i64 %r.rip, %rip
  %raised = and i1 %r1, %r2
  %again = or i1 %nested, %raised
  %old.level = load i32, ptr %p.level
  %next.level = add i32 %old.level, 1
  ; An earlier handler that returns without having mended anything is passed over after 64 times.
  %p.lrip = getelementptr i8, ptr @pv_process, i64 «process.loop_rip»
  %p.lcount = getelementptr i8, ptr @pv_process, i64 «process.loop_count»
  %lrip = load i64, ptr %p.lrip
  %lcount = load i32, ptr %p.lcount
  %lcount1 = add i32 %lcount, 1
  %same.rip = icmp eq i64 %lrip, %rip
  %looping = and i1 %same.rip, %sync
  %loops = select i1 %looping, i32 %lcount1, i32 0
  store i64 %rip, ptr %p.lrip
  store i32 %loops, ptr %p.lcount
  %loop.level = lshr i32 %loops, 6
  %level = select i1 %again, i32 %next.level, i32 %loop.level
  %entry.off = shl i64 %sig.i, 4
  %laters = getelementptr i8, ptr @pv_process, i64 «process.later»
  %p.later = getelementptr i8, ptr %laters, i64 %entry.off
  %p.lflags = getelementptr i8, ptr %p.later, i64 8
  %lflags = load i64, ptr %p.lflags
  %lvalid = and i64 %lflags, «LATER_VALID»
  %has.later = icmp ne i64 %lvalid, 0
  %firsts = getelementptr i8, ptr @pv_process, i64 «process.first»
  %p.first = getelementptr i8, ptr %firsts, i64 %entry.off
  %later = load ptr, ptr %p.later
  %first = load ptr, ptr %p.first
  %l0 = icmp eq i32 %level, 0
  %l1 = icmp eq i32 %level, 1
  %top = select i1 %has.later, ptr %later, ptr %first
  %under = select i1 %has.later, ptr %first, ptr null
  %h01 = select i1 %l1, ptr %under, ptr null
  %h = select i1 %l0, ptr %top, ptr %h01
  %h.i = ptrtoint ptr %h to i64
  %special = icmp ule i64 %h.i, 1
  br i1 %special, label %plain, label %call
call:
  store i32 %tid, ptr %p.tid
  store i32 %level, ptr %p.level
  call void %h(i32 %sig, ptr %si, ptr %uc)
  store i32 %in.tid, ptr %p.tid
  ; Did it raise the signal again, to be delivered when we return?
  %set = alloca i64
  store i64 0, ptr %set
  %set.i = ptrtoint ptr %set to i64
  %q = call i64 @pv_raw(i64 «nr.rt_sigpending», i64 %set.i, i64 8, i64 0, i64 0)
  %pending = load volatile i64, ptr %set
  %sig1 = sub i64 %sig.i, 1
  %bits = lshr i64 %pending, %sig1
  %bit = and i64 %bits, 1
  %is = icmp ne i64 %bit, 0
  br i1 %is, label %mark, label %unmark
mark:
  store i64 %rip, ptr %p.rrip
  store i32 %tid, ptr %p.rtid
  store i32 %level, ptr %p.level
  ret void
unmark:
  store i32 0, ptr %p.rtid
  ret void

plain: ; SIG_DFL, or SIG_IGN, which counts only for what was sent
  %ign = icmp eq i64 %h.i, 1
  %not.sync = xor i1 %sync, true
  %ignored = and i1 %ign, %not.sync
  br i1 %ignored, label %out, label %default
default:
  br i1 %sync, label %die, label %sent
sent:
  switch i32 %sig, label %die [
    i32 17, label %out ; SIGCHLD, SIGCONT, SIGURG, SIGWINCH: nothing
    i32 18, label %out
    i32 23, label %out
    i32 28, label %out
    i32 20, label %halt ; SIGTSTP, SIGTTIN, SIGTTOU: stop, and stay installed
    i32 21, label %halt
    i32 22, label %halt
  ]
halt:
  %me = call i64 @pv_raw(i64 «nr.getpid», i64 0, i64 0, i64 0, i64 0)
  %k = call i64 @pv_raw(i64 «nr.kill», i64 %me, i64 19, i64 0, i64 0)
  ret void
die: ; a fault comes again by itself and finds the default; the rest is sent again
  %act = alloca [4 x i64]
  store volatile [4 x i64] zeroinitializer, ptr %act
  %act.i = ptrtoint ptr %act to i64
  %d = call i64 @pv_raw(i64 «nr.rt_sigaction», i64 %sig.i, i64 %act.i, i64 0, i64 8)
  %p.code = getelementptr i8, ptr %si, i64 «si.code»
  %code = load i32, ptr %p.code
  %isnt = icmp sle i32 %code, 0
  %trap = icmp eq i32 %sig, 5
  %not.fault = xor i1 %sync, true
  %s1 = or i1 %isnt, %trap
  %send = or i1 %s1, %not.fault
  br i1 %send, label %resend, label %out
resend:
  %pid = call i64 @pv_raw(i64 «nr.getpid», i64 0, i64 0, i64 0, i64 0)
  %z = call i64 @pv_raw(i64 «nr.tgkill», i64 %pid, i64 %tid.l, i64 %sig.i, i64 0)
  ret void
out:
  ret void
}

attributes #900 = { nounwind "no-builtins" "frame-pointer"="none" }
"""


def runtime_ir(layout: Mapping[str, int]) -> str:
    """The runtime as LLVM text; layout gives the offsets and constants by name (engine.layout.names())."""
    quoted = ASSEMBLY.strip().replace('"', r"\22").splitlines()
    text = "".join(f'module asm "{line}"\n' for line in quoted) + ENTRY + LOOKUP + HANDLER + CHAIN
    text = text.replace("?", ".test")
    for name, value in {**HOST, **layout}.items():
        text = text.replace(f"«{name}»", str(value))
    if "«" in text:
        missing = text[text.index("«") + 1 : text.index("»")]
        raise KeyError(missing)
    return text
