define preserve_nonecc void @unit(ptr noalias align 4096 dereferenceable(65536) %st, ptr noalias %mem, ptr %ip, ptr %hb, i64 %budget) #0 {
entry:
%S.88 = getelementptr i8, ptr %st, i64 88
%S.64 = getelementptr i8, ptr %st, i64 64
%S.12 = getelementptr i8, ptr %st, i64 12
%S.48 = getelementptr i8, ptr %st, i64 48
%S.0 = getelementptr i8, ptr %st, i64 0
%S.8 = getelementptr i8, ptr %st, i64 8
%S.848 = getelementptr i8, ptr %st, i64 848
%S.856 = getelementptr i8, ptr %st, i64 856
%S.864 = getelementptr i8, ptr %st, i64 864
%S.520 = getelementptr i8, ptr %st, i64 520
%S.592 = getelementptr i8, ptr %st, i64 592
%S.600 = getelementptr i8, ptr %st, i64 600
%S.168 = getelementptr i8, ptr %st, i64 168
%S.96 = getelementptr i8, ptr %st, i64 96
%S.24 = getelementptr i8, ptr %st, i64 24
%S.124 = getelementptr i8, ptr %st, i64 124
%S.16 = getelementptr i8, ptr %st, i64 16
%S.120 = getelementptr i8, ptr %st, i64 120
%S.152 = getelementptr i8, ptr %st, i64 152
  %R.f.10 = alloca i64
  %R.f.11 = alloca i64
  %R.f.12 = alloca i64
  %R.x.1 = alloca i64
  %R.x.10 = alloca i64
  %R.x.11 = alloca i64
  store i64 %budget, ptr %S.88
  %limit = load i64, ptr %S.64
  %t2 = load volatile i32, ptr %S.12
  %t3 = icmp ne i32 %t2, 0
  br i1 %t3, label %cold4, label %go5, !prof !0
cold4:
  %t6 = load i64, ptr %S.48
  %t7 = ptrtoint ptr %ip to i64
  %t8 = sub i64 %t7, %t6
  %t9 = lshr i64 %t8, 3
  store i64 %t9, ptr %S.0
  store i32 4, ptr %S.8
  ret void
go5:
  %round.32 = load i32, ptr %S.120
  %round.other = icmp ne i32 %round.32, 0
  br i1 %round.other, label %rounding, label %nearest, !prof !0
rounding:
  %rounding.slots = load i64, ptr %S.48
  %rounding.ip = ptrtoint ptr %ip to i64
  %rounding.at = sub i64 %rounding.ip, %rounding.slots
  %rounding.pc = lshr i64 %rounding.at, 3
  store i64 %rounding.pc, ptr %S.0
  store i64 %rounding.pc, ptr %S.152
  store i32 7, ptr %S.8
  ret void
nearest:
  br label %G10000
G10000:
  %t10 = load i64, ptr %S.848
  store i64 %t10, ptr %R.f.10
  %t11 = load i64, ptr %S.856
  store i64 %t11, ptr %R.f.11
  %t12 = load i64, ptr %S.864
  store i64 %t12, ptr %R.f.12
  %t13 = load i64, ptr %S.520
  store i64 %t13, ptr %R.x.1
  %t14 = load i64, ptr %S.592
  store i64 %t14, ptr %R.x.10
  %t15 = load i64, ptr %S.600
  store i64 %t15, ptr %R.x.11
  %t16 = shl i64 %t10, 1
  %t17 = icmp ugt i64 %t16, 18437736874454810624
  %t18 = icmp ne i64 %t10, 9221120237041090560
  %t19 = and i1 %t17, %t18
  br i1 %t19, label %odd20, label %L10000, !prof !0
odd20:
  store i64 65536, ptr %S.0
  store i32 6, ptr %S.8
  ret void
L10000:
  callbr void asm sideeffect ".Lpvp${:uid}:\0A.pushsection pvp,\22a\22\0A.long .Lpvp${:uid}-., ${0:l}-.\0A.popsection", "!i"() to label %run21 [label %stop22]
stop22:
  %t23 = load i64, ptr %R.f.10
  %t24 = bitcast i64 %t23 to double
  %t25 = load i64, ptr %R.x.10
  %t26 = fcmp uno double %t24, %t24
  %t27 = select i1 %t26, double 0x7FF8000000000000, double %t24
  %t28 = bitcast double %t27 to i64
  store i64 %t28, ptr %S.848
  store i64 %t25, ptr %S.592
  store i64 65536, ptr %S.0
  store i32 4, ptr %S.8
  ret void
run21:
  %t29 = load i64, ptr %R.f.10
  %t30 = bitcast i64 %t29 to double
  %t31 = load i64, ptr %R.f.11
  %t32 = bitcast i64 %t29 to double
  %t33 = bitcast i64 %t31 to double
  %t34 = call double @llvm.experimental.constrained.fmul.f64(double %t32, double %t33, metadata !"round.dynamic", metadata !"fpexcept.strict") strictfp
  %t35 = bitcast double %t34 to i64
  %t36 = load i64, ptr %R.f.12
  %t37 = bitcast i64 %t35 to double
  %t38 = bitcast i64 %t36 to double
  %t39 = call double @llvm.experimental.constrained.fadd.f64(double %t37, double %t38, metadata !"round.dynamic", metadata !"fpexcept.strict") strictfp
  %t40 = bitcast double %t39 to i64
  %t41 = load i64, ptr %R.x.10
  %t42 = add i64 %t41, 18446744073709551615
  %t43 = icmp ne i64 %t42, 0
  br i1 %t43, label %then44, label %after45
then44:
  store i64 %t40, ptr %R.f.10
  store i64 %t42, ptr %R.x.10
  br label %L10000
after45:
  store i64 %t40, ptr %R.f.10
  store i64 %t42, ptr %R.x.10
  br label %L1000c
L1000c:
  %t46 = load i64, ptr %R.x.11
  %t47 = add i64 %t46, 0
  %t48 = load i64, ptr %R.f.10
  %t49 = bitcast i64 %t48 to double
  %t52 = fcmp uno double %t49, %t49
  br i1 %t52, label %cold50, label %join51, !prof !0
cold50:
  %t53 = fcmp uno double %t49, %t49
  %t54 = select i1 %t53, double 0x7FF8000000000000, double %t49
  %t55 = bitcast double %t54 to i64
  br label %join51
join51:
  %t56 = phi double [ %t49, %L1000c ], [ %t54, %cold50 ]
  %t57 = bitcast double %t56 to i64
  %t58 = icmp uge i64 %t46, %limit
  br i1 %t58, label %wild, label %go59, !prof !0
go59:
  %t60 = getelementptr i8, ptr %mem, i64 %t46
  call void asm sideeffect "/* 1000c */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  store volatile i64 %t57, ptr %t60, align 1, !pcsections !2
  call void asm sideeffect "/* 1000c */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t61 = load i64, ptr %R.x.1
  %t62 = and i64 %t61, 18446744073709551614
  %t63 = load i64, ptr %R.x.10
  store i64 %t57, ptr %S.848
  store i64 %t63, ptr %S.592
  %t64 = load ptr, ptr %S.48
  %t65 = shl i64 %t62, 3
  %t66 = icmp ult i64 %t62, %limit
  br i1 %t66, label %in67, label %gone, !prof !1
in67:
  %t68 = getelementptr i8, ptr %t64, i64 %t65
  %t69 = load ptr, ptr %S.96
  %t70 = load i64, ptr %S.88
  %t71 = load i32, ptr %t68
  %t72 = sext i32 %t71 to i64
  %t73 = getelementptr i8, ptr %t69, i64 %t72
  musttail call preserve_nonecc void %t73(ptr %st, ptr %mem, ptr %t68, ptr %t69, i64 %t70)
  ret void
wild:
  %wild.here = phi i64 [ 12, %join51 ]
  %wild.base = phi i64 [ %t46, %join51 ]
  %wild.distance = phi i64 [ 0, %join51 ]
  %wild.access = phi i32 [ 1, %join51 ]
  %t74 = add i64 %wild.here, 65536
  %t75 = add i64 %wild.base, %wild.distance
  store i64 %t74, ptr %S.0
  store i64 %t75, ptr %S.24
  store i32 %wild.access, ptr %S.124
  store i64 11, ptr %S.16
  store i32 3, ptr %S.8
  ret void
gone:
  %gone.pc = phi i64 [ %t62, %go59 ]
  store i64 %gone.pc, ptr %S.0
  store i64 %gone.pc, ptr %S.24
  store i32 2, ptr %S.124
  store i64 11, ptr %S.16
  store i32 3, ptr %S.8
  ret void
}
attributes #0 = { nounwind strictfp "no-builtins" }
!0 = !{!"branch_weights", i32 1, i32 100000}
!1 = !{!"branch_weights", i32 100000, i32 1}
!2 = !{!"pvq", !3}
!3 = !{i64 65548}
