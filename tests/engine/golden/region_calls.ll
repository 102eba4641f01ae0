define preserve_nonecc void @unit(ptr noalias align 4096 dereferenceable(65536) %st, ptr noalias %mem, ptr %ip, ptr %hb, i64 %budget) #0 {
entry:
%S.88 = getelementptr i8, ptr %st, i64 88
%S.64 = getelementptr i8, ptr %st, i64 64
%S.48 = getelementptr i8, ptr %st, i64 48
%S.520 = getelementptr i8, ptr %st, i64 520
%S.592 = getelementptr i8, ptr %st, i64 592
%S.0 = getelementptr i8, ptr %st, i64 0
%S.8 = getelementptr i8, ptr %st, i64 8
%S.128 = getelementptr i8, ptr %st, i64 128
%S.152 = getelementptr i8, ptr %st, i64 152
%S.96 = getelementptr i8, ptr %st, i64 96
%S.24 = getelementptr i8, ptr %st, i64 24
%S.124 = getelementptr i8, ptr %st, i64 124
%S.16 = getelementptr i8, ptr %st, i64 16
  %R.x.1 = alloca i64
  %R.x.10 = alloca i64
  store i64 %budget, ptr %S.88
  %limit = load i64, ptr %S.64
  %t2 = load i64, ptr %S.48
  %t3 = ptrtoint ptr %ip to i64
  %t4 = sub i64 %t3, %t2
  switch i64 %t4, label %G10000 [ i64 524384, label %G1000c ]
G10000:
  %t5 = load i64, ptr %S.520
  store i64 %t5, ptr %R.x.1
  %t6 = load i64, ptr %S.592
  store i64 %t6, ptr %R.x.10
  br label %L10000
G1000c:
  %t7 = load i64, ptr %S.520
  store i64 %t7, ptr %R.x.1
  %t8 = load i64, ptr %S.592
  store i64 %t8, ptr %R.x.10
  br label %L1000c
L10000:
  callbr void asm sideeffect ".Lpvp${:uid}:\0A.pushsection pvp,\22a\22\0A.long .Lpvp${:uid}-., ${0:l}-.\0A.popsection", "!i"() to label %run9 [label %stop10]
stop10:
  %t11 = load i64, ptr %R.x.10
  store i64 %t11, ptr %S.592
  store i64 65536, ptr %S.0
  store i32 4, ptr %S.8
  ret void
run9:
  store i64 65540, ptr %R.x.1
  br label %L1000c
L10004:
  %t12 = load i64, ptr %R.x.10
  %t13 = icmp eq i64 %t12, 0
  br i1 %t13, label %then14, label %after15
then14:
  %t16 = load i64, ptr %R.x.1
  store i64 %t16, ptr %S.520
  store i64 %t12, ptr %S.592
  %t17 = load ptr, ptr %S.128
  %t18 = getelementptr i32, ptr %t17, i64 0
  %t19 = load i32, ptr %t18
  %t20 = sub i32 %t19, 1
  store i32 %t20, ptr %t18
  %t21 = icmp eq i32 %t20, 0
  br i1 %t21, label %cold22, label %go23, !prof !0
cold22:
  store i64 65544, ptr %S.0
  store i64 65536, ptr %S.152
  store i32 7, ptr %S.8
  ret void
go23:
  %t24 = load ptr, ptr %S.48
  %t25 = icmp ult i64 65544, %limit
  br i1 %t25, label %in26, label %gone, !prof !1
in26:
  %t27 = getelementptr i8, ptr %t24, i64 524352
  %t28 = load ptr, ptr %S.96
  %t29 = load i64, ptr %S.88
  %t30 = load i32, ptr %t27
  %t31 = sext i32 %t30 to i64
  %t32 = getelementptr i8, ptr %t28, i64 %t31
  musttail call preserve_nonecc void %t32(ptr %st, ptr %mem, ptr %t27, ptr %t28, i64 %t29)
  ret void
after15:
  br label %L10006
L10006:
  br label %L10000
L1000c:
  %t33 = load i64, ptr %R.x.10
  %t34 = add i64 %t33, 18446744073709551615
  %t35 = load i64, ptr %R.x.1
  %t36 = and i64 %t35, 18446744073709551614
  store i64 %t34, ptr %R.x.10
  switch i64 %t36, label %away37 [ i64 65540, label %L10004 ]
away37:
  store i64 %t35, ptr %S.520
  store i64 %t34, ptr %S.592
  %t38 = load ptr, ptr %S.48
  %t39 = shl i64 %t36, 3
  %t40 = icmp ult i64 %t36, %limit
  br i1 %t40, label %in41, label %gone, !prof !1
in41:
  %t42 = getelementptr i8, ptr %t38, i64 %t39
  %t43 = load ptr, ptr %S.96
  %t44 = load i64, ptr %S.88
  %t45 = load i32, ptr %t42
  %t46 = sext i32 %t45 to i64
  %t47 = getelementptr i8, ptr %t43, i64 %t46
  musttail call preserve_nonecc void %t47(ptr %st, ptr %mem, ptr %t42, ptr %t43, i64 %t44)
  ret void
gone:
  %gone.pc = phi i64 [ 65544, %go23 ], [ %t36, %away37 ]
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

