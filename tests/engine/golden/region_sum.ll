define preserve_nonecc void @unit(ptr noalias align 4096 dereferenceable(65536) %st, ptr noalias %mem, ptr %ip, ptr %hb, i64 %budget) #0 {
entry:
%S.88 = getelementptr i8, ptr %st, i64 88
%S.64 = getelementptr i8, ptr %st, i64 64
%S.48 = getelementptr i8, ptr %st, i64 48
%S.520 = getelementptr i8, ptr %st, i64 520
%S.592 = getelementptr i8, ptr %st, i64 592
%S.600 = getelementptr i8, ptr %st, i64 600
%S.616 = getelementptr i8, ptr %st, i64 616
%S.608 = getelementptr i8, ptr %st, i64 608
%S.0 = getelementptr i8, ptr %st, i64 0
%S.8 = getelementptr i8, ptr %st, i64 8
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
  %t2 = load i64, ptr %S.48
  %t3 = ptrtoint ptr %ip to i64
  %t4 = sub i64 %t3, %t2
  switch i64 %t4, label %G10000 [ i64 524320, label %G10004 ]
G10000:
  %t5 = load i64, ptr %S.520
  store i64 %t5, ptr %R.x.1
  %t6 = load i64, ptr %S.592
  store i64 %t6, ptr %R.x.10
  %t7 = load i64, ptr %S.600
  store i64 %t7, ptr %R.x.11
  %t8 = load i64, ptr %S.616
  store i64 %t8, ptr %R.x.13
  br label %L10000
G10004:
  %t9 = load i64, ptr %S.520
  store i64 %t9, ptr %R.x.1
  %t10 = load i64, ptr %S.592
  store i64 %t10, ptr %R.x.10
  %t11 = load i64, ptr %S.600
  store i64 %t11, ptr %R.x.11
  %t12 = load i64, ptr %S.608
  store i64 %t12, ptr %R.x.12
  %t13 = load i64, ptr %S.616
  store i64 %t13, ptr %R.x.13
  br label %L10004
L10000:
  store i64 0, ptr %R.x.12
  br label %L10004
L10004:
  callbr void asm sideeffect ".Lpvp${:uid}:\0A.pushsection pvp,\22a\22\0A.long .Lpvp${:uid}-., ${0:l}-.\0A.popsection", "!i"() to label %run14 [label %stop15]
stop15:
  %t16 = load i64, ptr %R.x.10
  %t17 = load i64, ptr %R.x.12
  store i64 %t16, ptr %S.592
  store i64 %t17, ptr %S.608
  store i64 65540, ptr %S.0
  store i32 4, ptr %S.8
  ret void
run14:
  %t18 = load i64, ptr %R.x.10
  %t19 = add i64 %t18, 0
  %t20 = icmp uge i64 %t18, %limit
  br i1 %t20, label %wild, label %go21, !prof !0
go21:
  %t22 = getelementptr i8, ptr %mem, i64 %t18
  call void asm sideeffect "/* 10004 */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t23 = load volatile i64, ptr %t22, align 1, !pcsections !2
  call void asm sideeffect "/* 10004 */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t24 = load i64, ptr %R.x.12
  %t25 = add i64 %t24, %t23
  %t26 = add i64 %t18, 8
  %t27 = load i64, ptr %R.x.11
  %t28 = icmp ne i64 %t26, %t27
  br i1 %t28, label %then29, label %after30
then29:
  store i64 %t26, ptr %R.x.10
  store i64 %t25, ptr %R.x.12
  store i64 %t23, ptr %R.x.13
  br label %L10004
after30:
  store i64 %t26, ptr %R.x.10
  store i64 %t25, ptr %R.x.12
  store i64 %t23, ptr %R.x.13
  br label %L10014
L10014:
  %t31 = load i64, ptr %R.x.1
  %t32 = and i64 %t31, 18446744073709551614
  %t33 = load i64, ptr %R.x.10
  %t34 = load i64, ptr %R.x.12
  %t35 = load i64, ptr %R.x.13
  store i64 %t33, ptr %S.592
  store i64 %t34, ptr %S.608
  store i64 %t35, ptr %S.616
  %t36 = load ptr, ptr %S.48
  %t37 = shl i64 %t32, 3
  %t38 = icmp ult i64 %t32, %limit
  br i1 %t38, label %in39, label %gone, !prof !1
in39:
  %t40 = getelementptr i8, ptr %t36, i64 %t37
  %t41 = load ptr, ptr %S.96
  %t42 = load i64, ptr %S.88
  %t43 = load i32, ptr %t40
  %t44 = sext i32 %t43 to i64
  %t45 = getelementptr i8, ptr %t41, i64 %t44
  musttail call preserve_nonecc void %t45(ptr %st, ptr %mem, ptr %t40, ptr %t41, i64 %t42)
  ret void
wild:
  %wild.here = phi i64 [ 4, %run14 ]
  %wild.base = phi i64 [ %t18, %run14 ]
  %wild.distance = phi i64 [ 0, %run14 ]
  %wild.access = phi i32 [ 0, %run14 ]
  %t46 = add i64 %wild.here, 65536
  %t47 = add i64 %wild.base, %wild.distance
  store i64 %t46, ptr %S.0
  store i64 %t47, ptr %S.24
  store i32 %wild.access, ptr %S.124
  store i64 11, ptr %S.16
  store i32 3, ptr %S.8
  ret void
gone:
  %gone.pc = phi i64 [ %t32, %L10014 ]
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
