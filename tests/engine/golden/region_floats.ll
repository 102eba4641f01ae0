define preserve_nonecc void @unit(ptr noalias align 4096 dereferenceable(65536) %st, ptr noalias %mem, ptr %ip, ptr %hb, i64 %budget) #0 {
entry:
%S.88 = getelementptr i8, ptr %st, i64 88
%S.64 = getelementptr i8, ptr %st, i64 64
%S.848 = getelementptr i8, ptr %st, i64 848
%S.856 = getelementptr i8, ptr %st, i64 856
%S.864 = getelementptr i8, ptr %st, i64 864
%S.520 = getelementptr i8, ptr %st, i64 520
%S.592 = getelementptr i8, ptr %st, i64 592
%S.600 = getelementptr i8, ptr %st, i64 600
%S.0 = getelementptr i8, ptr %st, i64 0
%S.8 = getelementptr i8, ptr %st, i64 8
%S.168 = getelementptr i8, ptr %st, i64 168
%S.48 = getelementptr i8, ptr %st, i64 48
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
  %t2 = load i64, ptr %S.848
  store i64 %t2, ptr %R.f.10
  %t3 = load i64, ptr %S.856
  store i64 %t3, ptr %R.f.11
  %t4 = load i64, ptr %S.864
  store i64 %t4, ptr %R.f.12
  %t5 = load i64, ptr %S.520
  store i64 %t5, ptr %R.x.1
  %t6 = load i64, ptr %S.592
  store i64 %t6, ptr %R.x.10
  %t7 = load i64, ptr %S.600
  store i64 %t7, ptr %R.x.11
  %t8 = shl i64 %t2, 1
  %t9 = icmp ugt i64 %t8, 18437736874454810624
  %t10 = icmp ne i64 %t2, 9221120237041090560
  %t11 = and i1 %t9, %t10
  br i1 %t11, label %odd12, label %L10000, !prof !0
odd12:
  store i64 65536, ptr %S.0
  store i32 6, ptr %S.8
  ret void
L10000:
  callbr void asm sideeffect ".Lpvp${:uid}:\0A.pushsection pvp,\22a\22\0A.long .Lpvp${:uid}-., ${0:l}-.\0A.popsection", "!i"() to label %run13 [label %stop14]
stop14:
  %t15 = load i64, ptr %R.f.10
  %t16 = bitcast i64 %t15 to double
  %t17 = load i64, ptr %R.x.10
  %t18 = fcmp uno double %t16, %t16
  %t19 = select i1 %t18, double 0x7FF8000000000000, double %t16
  %t20 = bitcast double %t19 to i64
  store i64 %t20, ptr %S.848
  store i64 %t17, ptr %S.592
  store i64 65536, ptr %S.0
  store i32 4, ptr %S.8
  ret void
run13:
  %t21 = load i64, ptr %R.f.10
  %t22 = bitcast i64 %t21 to double
  %t23 = load i64, ptr %R.f.11
  %t24 = bitcast i64 %t21 to double
  %t25 = bitcast i64 %t23 to double
  %t26 = call double @llvm.experimental.constrained.fmul.f64(double %t24, double %t25, metadata !"round.dynamic", metadata !"fpexcept.strict") strictfp
  %t27 = bitcast double %t26 to i64
  %t28 = load i64, ptr %R.f.12
  %t29 = bitcast i64 %t27 to double
  %t30 = bitcast i64 %t28 to double
  %t31 = call double @llvm.experimental.constrained.fadd.f64(double %t29, double %t30, metadata !"round.dynamic", metadata !"fpexcept.strict") strictfp
  %t32 = bitcast double %t31 to i64
  %t33 = load i64, ptr %R.x.10
  %t34 = add i64 %t33, 18446744073709551615
  %t35 = icmp ne i64 %t34, 0
  br i1 %t35, label %then36, label %after37
then36:
  store i64 %t32, ptr %R.f.10
  store i64 %t34, ptr %R.x.10
  br label %L10000
after37:
  store i64 %t32, ptr %R.f.10
  store i64 %t34, ptr %R.x.10
  br label %L1000c
L1000c:
  %t38 = load i64, ptr %R.x.11
  %t39 = add i64 %t38, 0
  %t40 = load i64, ptr %R.f.10
  %t41 = bitcast i64 %t40 to double
  %t44 = fcmp uno double %t41, %t41
  br i1 %t44, label %cold42, label %join43, !prof !0
cold42:
  %t45 = fcmp uno double %t41, %t41
  %t46 = select i1 %t45, double 0x7FF8000000000000, double %t41
  %t47 = bitcast double %t46 to i64
  br label %join43
join43:
  %t48 = phi double [ %t41, %L1000c ], [ %t46, %cold42 ]
  %t49 = bitcast double %t48 to i64
  %t50 = icmp uge i64 %t38, %limit
  br i1 %t50, label %wild, label %go51, !prof !0
go51:
  %t52 = getelementptr i8, ptr %mem, i64 %t38
  call void asm sideeffect "/* 1000c */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  store volatile i64 %t49, ptr %t52, align 1, !pcsections !2
  call void asm sideeffect "/* 1000c */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t53 = load i64, ptr %R.x.1
  %t54 = and i64 %t53, 18446744073709551614
  %t55 = load i64, ptr %R.x.10
  store i64 %t49, ptr %S.848
  store i64 %t55, ptr %S.592
  %t56 = load ptr, ptr %S.48
  %t57 = shl i64 %t54, 3
  %t58 = icmp ult i64 %t54, %limit
  br i1 %t58, label %in59, label %gone, !prof !1
in59:
  %t60 = getelementptr i8, ptr %t56, i64 %t57
  %t61 = load ptr, ptr %S.96
  %t62 = load i64, ptr %S.88
  %t63 = load i32, ptr %t60
  %t64 = sext i32 %t63 to i64
  %t65 = getelementptr i8, ptr %t61, i64 %t64
  musttail call preserve_nonecc void %t65(ptr %st, ptr %mem, ptr %t60, ptr %t61, i64 %t62)
  ret void
wild:
  %wild.here = phi i64 [ 12, %join43 ]
  %wild.base = phi i64 [ %t38, %join43 ]
  %wild.distance = phi i64 [ 0, %join43 ]
  %wild.access = phi i32 [ 1, %join43 ]
  %t66 = add i64 %wild.here, 65536
  %t67 = add i64 %wild.base, %wild.distance
  store i64 %t66, ptr %S.0
  store i64 %t67, ptr %S.24
  store i32 %wild.access, ptr %S.124
  store i64 11, ptr %S.16
  store i32 3, ptr %S.8
  ret void
gone:
  %gone.pc = phi i64 [ %t54, %go51 ]
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
