"""The native signal handler, as LLVM text: whose a signal is, what a guest fault says, and the queue for the rest.

Written in the terms of a host (`uc.*`, `si.*`, `nr.*`), which emit.host_* fills in. It runs with every signal blocked,
touches nothing but thread states, process blocks and the interrupted context, and calls nothing outside.
"""

from __future__ import annotations

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
trap.st: ; a breakpoint of ours, or a single step
  %int3 = icmp eq i32 %code, «SI_BREAKPOINT»
  br i1 %int3, label %trap.int3, label %trap.trace
trap.int3: ; in a shadow: a safepoint
  %left = call i1 @pv_leave(ptr %st, ptr %pr, ptr %uc, i64 «BREAKPOINT_SIZE»)
  br i1 %left, label %out, label %wild
trap.trace:
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
  %pc = ashr i64 %ip.off, «SLOT_SHIFT»
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
  %u.rip = call i64 @pv_plain(ptr %range, i64 %rip)
  %to = call i64 @pv_pair(ptr %faults, i32 %count, i64 %u.base, i64 %u.rip)
  %p.places = getelementptr i8, ptr %range, i64 «range.places»
  %places = load ptr, ptr %p.places
  %p.pcount = getelementptr i8, ptr %range, i64 «range.place_count»
  %pcount = load i32, ptr %p.pcount
  %u.pc = call i64 @pv_place(ptr %places, i32 %pcount, i64 %u.base, i64 %u.rip)
  call void @pv_reading(ptr %pr, i32 -1)
  %listed = icmp ne i64 %to, 0
  br i1 %listed, label %fault.unit.leave, label %fault.unit.plain
fault.unit.plain: ; the unit stored what the guest can see; what is missing is at most the address
  %u.sp.p = getelementptr i8, ptr %st, i64 «st.host_sp»
  %u.sp = load i64, ptr %u.sp.p
  %u.running = icmp ne i64 %u.sp, 0
  br i1 %u.running, label %fault.unit.out, label %wild
fault.unit.out:
  call void @pv_note(i32 %sig, ptr %st, ptr %uc, i64 %addr)
  %u.none = icmp eq i32 %pcount, 0
  %u.old = load i64, ptr %st
  %u.new = select i1 %u.none, i64 %u.old, i64 %u.pc
  store i64 %u.new, ptr %st
  %u.rsp = getelementptr i8, ptr %uc, i64 «uc.rsp»
  store i64 %u.sp, ptr %u.rsp
  %u.resume.p = getelementptr i8, ptr %pr, i64 «process.resume»
  %u.resume = load i64, ptr %u.resume.p
  store i64 %u.resume, ptr %p.rip
  call void @pv_calm(ptr %st, ptr %uc)
  ret void
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
kick.value: ; any image's block says that it is ours
  %p.value = getelementptr i8, ptr %si, i64 «si.value»
  %value = load ptr, ptr %p.value
  br label %kick.next
kick.next:
  %block = phi ptr [ @pv_process, %kick.value ], [ %block.next, %kick.more ]
  %k3 = icmp eq ptr %value, %block
  br i1 %k3, label %kicked, label %kick.more
kick.more:
  %p.next = getelementptr i8, ptr %block, i64 «process.next»
  %block.next = load ptr, ptr %p.next
  %k4 = icmp eq ptr %block.next, null
  br i1 %k4, label %policy, label %kick.next
kicked: ; the flag is set already; the thread need not run that state, or not any more
  %p.who = getelementptr i8, ptr %si, i64 «si.sender»
  %who = load ptr, ptr %p.who
  %k5 = icmp eq ptr %who, %st
  %k6 = and i1 %k5, %has
  br i1 %k6, label %stop, label %out
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
  %refused = icmp slt i64 %sent, 0
  br i1 %refused, label %forward.bare, label %out
forward.bare: ; only a process's first thread may pass on what the kernel or kill() sent: without its siginfo, then
  %bare = call i64 @pv_raw(i64 «nr.tgkill», i64 %pid, i64 %main.i, i64 %sig.i, i64 0)
  ret void
queue?:
  br i1 %queue, label %enqueue, label %stop?
enqueue:
  call void @pv_queue(i32 %sig, ptr %si, ptr %st, ptr %uc)
  br label %stop
stop?:
  br i1 %stops, label %stop, label %chain?
stop:
  %chains.s = phi i1 [ false, %kicked ], [ %chains, %enqueue ], [ %chains, %stop? ]
  %p.stop = getelementptr i8, ptr %st, i64 «st.stop»
  store atomic i32 1, ptr %p.stop seq_cst, align 4
  %p.stop.rip = getelementptr i8, ptr %st, i64 «st.stop_rip»
  store i64 %rip, ptr %p.stop.rip
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

; Write down a guest fault. What faults in the decoder is the guest's fetch.
define internal void @pv_note(i32 %sig, ptr %st, ptr %uc, i64 %addr) #900 {
  %p.mem = getelementptr i8, ptr %st, i64 «st.mem_base»
  %mem = load i64, ptr %p.mem
  %off = sub i64 %addr, %mem
  %p.value = getelementptr i8, ptr %st, i64 «st.value»
  store i64 %off, ptr %p.value
  %p.rip = getelementptr i8, ptr %uc, i64 «uc.rip»
  %rip = load i64, ptr %p.rip
  %p.process = getelementptr i8, ptr %st, i64 «st.process»
  %process = load ptr, ptr %p.process
  %p.ds = getelementptr i8, ptr %process, i64 «process.decode_start»
  %ds = load i64, ptr %p.ds
  %p.de = getelementptr i8, ptr %process, i64 «process.decode_end»
  %de = load i64, ptr %p.de
  %d1 = icmp uge i64 %rip, %ds
  %d2 = icmp ult i64 %rip, %de
  %decode = and i1 %d1, %d2
  %found = call i32 @pv_access(ptr %uc)
  %access = select i1 %decode, i32 «FETCH», i32 %found
  %p.access = getelementptr i8, ptr %st, i64 «st.access»
  store i32 %access, ptr %p.access
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
