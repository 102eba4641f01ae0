define preserve_nonecc void @unit(ptr noalias align 4096 dereferenceable(65536) %st, ptr noalias %mem, ptr %ip, ptr %hb, i64 %budget) #0 {
entry:
%S.88 = getelementptr i8, ptr %st, i64 88
%S.64 = getelementptr i8, ptr %st, i64 64
%S.12 = getelementptr i8, ptr %st, i64 12
%S.48 = getelementptr i8, ptr %st, i64 48
%S.0 = getelementptr i8, ptr %st, i64 0
%S.8 = getelementptr i8, ptr %st, i64 8
%S.520 = getelementptr i8, ptr %st, i64 520
%S.592 = getelementptr i8, ptr %st, i64 592
%S.600 = getelementptr i8, ptr %st, i64 600
%S.616 = getelementptr i8, ptr %st, i64 616
%S.608 = getelementptr i8, ptr %st, i64 608
%S.168 = getelementptr i8, ptr %st, i64 168
%S.96 = getelementptr i8, ptr %st, i64 96
%S.24 = getelementptr i8, ptr %st, i64 24
%S.124 = getelementptr i8, ptr %st, i64 124
%S.16 = getelementptr i8, ptr %st, i64 16
  %R.x.1 = alloca i64
  %R.x.10 = alloca i64
  %R.x.11 = alloca i64
  %R.x.12 = alloca i64
  %R.x.13 = alloca i64
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
  %t10 = load i64, ptr %S.48
  %t11 = ptrtoint ptr %ip to i64
  %t12 = sub i64 %t11, %t10
  switch i64 %t12, label %G10000 [ i64 524320, label %G10004 ]
G10000:
  %t13 = load i64, ptr %S.520
  store i64 %t13, ptr %R.x.1
  %t14 = load i64, ptr %S.592
  store i64 %t14, ptr %R.x.10
  %t15 = load i64, ptr %S.600
  store i64 %t15, ptr %R.x.11
  %t16 = load i64, ptr %S.616
  store i64 %t16, ptr %R.x.13
  br label %L10000
G10004:
  %t17 = load i64, ptr %S.520
  store i64 %t17, ptr %R.x.1
  %t18 = load i64, ptr %S.592
  store i64 %t18, ptr %R.x.10
  %t19 = load i64, ptr %S.600
  store i64 %t19, ptr %R.x.11
  %t20 = load i64, ptr %S.608
  store i64 %t20, ptr %R.x.12
  %t21 = load i64, ptr %S.616
  store i64 %t21, ptr %R.x.13
  br label %L10004
L10000:
  store i64 0, ptr %R.x.12
  br label %L10004
L10004:
  callbr void asm sideeffect ".Lpvp${:uid}:\0A.pushsection pvp,\22a\22\0A.long .Lpvp${:uid}-., ${0:l}-.\0A.popsection", "!i"() to label %run22 [label %stop23]
stop23:
  %t24 = load i64, ptr %R.x.10
  %t25 = load i64, ptr %R.x.12
  store i64 %t24, ptr %S.592
  store i64 %t25, ptr %S.608
  store i64 65540, ptr %S.0
  store i32 4, ptr %S.8
  ret void
run22:
  %t26 = load i64, ptr %R.x.10
  %t27 = add i64 %t26, 0
  %t28 = icmp uge i64 %t26, %limit
  br i1 %t28, label %wild, label %go29, !prof !0
go29:
  %t30 = getelementptr i8, ptr %mem, i64 %t26
  call void asm sideeffect "/* 10004 */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t31 = load volatile i64, ptr %t30, align 1, !pcsections !2
  call void asm sideeffect "/* 10004 */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t32 = load i64, ptr %R.x.12
  %t33 = add i64 %t32, %t31
  %t34 = add i64 %t26, 8
  %t35 = load i64, ptr %R.x.11
  %t36 = icmp ne i64 %t34, %t35
  br i1 %t36, label %then37, label %after38
then37:
  store i64 %t34, ptr %R.x.10
  store i64 %t33, ptr %R.x.12
  store i64 %t31, ptr %R.x.13
  br label %L10004
after38:
  store i64 %t34, ptr %R.x.10
  store i64 %t33, ptr %R.x.12
  store i64 %t31, ptr %R.x.13
  br label %L10014
L10014:
  %t39 = load i64, ptr %R.x.1
  %t40 = and i64 %t39, 18446744073709551614
  %t41 = load i64, ptr %R.x.10
  %t42 = load i64, ptr %R.x.12
  %t43 = load i64, ptr %R.x.13
  store i64 %t41, ptr %S.592
  store i64 %t42, ptr %S.608
  store i64 %t43, ptr %S.616
  %t44 = load ptr, ptr %S.48
  %t45 = shl i64 %t40, 3
  %t46 = icmp ult i64 %t40, %limit
  br i1 %t46, label %in47, label %gone, !prof !1
in47:
  %t48 = getelementptr i8, ptr %t44, i64 %t45
  %t49 = load ptr, ptr %S.96
  %t50 = load i64, ptr %S.88
  %t51 = load i32, ptr %t48
  %t52 = sext i32 %t51 to i64
  %t53 = getelementptr i8, ptr %t49, i64 %t52
  musttail call preserve_nonecc void %t53(ptr %st, ptr %mem, ptr %t48, ptr %t49, i64 %t50)
  ret void
wild:
  %wild.here = phi i64 [ 4, %run22 ]
  %wild.base = phi i64 [ %t26, %run22 ]
  %wild.distance = phi i64 [ 0, %run22 ]
  %wild.access = phi i32 [ 0, %run22 ]
  %t54 = add i64 %wild.here, 65536
  %t55 = add i64 %wild.base, %wild.distance
  store i64 %t54, ptr %S.0
  store i64 %t55, ptr %S.24
  store i32 %wild.access, ptr %S.124
  store i64 11, ptr %S.16
  store i32 3, ptr %S.8
  ret void
gone:
  %gone.pc = phi i64 [ %t40, %L10014 ]
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
!3 = !{i64 65540}
