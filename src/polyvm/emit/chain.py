"""Handing a signal on to whoever had it before us, as LLVM text: earlier handlers, the default action, no circles.

It never swallows: what has no earlier handler gets its default, which may end the process.
"""

from __future__ import annotations

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
"""
