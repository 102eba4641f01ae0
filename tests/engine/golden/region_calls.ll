define preserve_nonecc void @unit(ptr noalias align 4096 dereferenceable(65536) %st, ptr noalias %mem, ptr %ip, ptr %hb, i64 %budget) #0 {
entry:
%S.88 = getelementptr i8, ptr %st, i64 88
%S.64 = getelementptr i8, ptr %st, i64 64
%S.48 = getelementptr i8, ptr %st, i64 48
%S.520 = getelementptr i8, ptr %st, i64 520
%S.592 = getelementptr i8, ptr %st, i64 592
%S.0 = getelementptr i8, ptr %st, i64 0
%S.8 = getelementptr i8, ptr %st, i64 8
%S.96 = getelementptr i8, ptr %st, i64 96
%S.128 = getelementptr i8, ptr %st, i64 128
%S.152 = getelementptr i8, ptr %st, i64 152
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
  br label %door0
after15:
  br label %L10006
L10006:
  br label %L10000
L1000c:
  %t16 = load i64, ptr %R.x.10
  %t17 = add i64 %t16, 18446744073709551615
  %t18 = load i64, ptr %R.x.1
  %t19 = and i64 %t18, 18446744073709551614
  store i64 %t17, ptr %R.x.10
  switch i64 %t19, label %away20 [ i64 65540, label %L10004 ]
away20:
  store i64 %t18, ptr %S.520
  store i64 %t17, ptr %S.592
  %t21 = load ptr, ptr %S.48
  %t22 = shl i64 %t19, 3
  %t23 = icmp ult i64 %t19, %limit
  br i1 %t23, label %in24, label %gone, !prof !1
in24:
  %t25 = getelementptr i8, ptr %t21, i64 %t22
  %t26 = load ptr, ptr %S.96
  %t27 = load i64, ptr %S.88
  %t28 = load i32, ptr %t25
  %t29 = sext i32 %t28 to i64
  %t30 = getelementptr i8, ptr %t26, i64 %t29
  musttail call preserve_nonecc void %t30(ptr %st, ptr %mem, ptr %t25, ptr %t26, i64 %t27)
  ret void
door0:
  %door0.here = phi i64 [ 8, %then14 ]
  %t31 = add i64 %door0.here, 65536
  %t32 = load i64, ptr %R.x.1
  %t33 = load i64, ptr %R.x.10
  store i64 %t32, ptr %S.520
  store i64 %t33, ptr %S.592
  %t34 = load ptr, ptr %S.128
  %t35 = getelementptr i32, ptr %t34, i64 0
  %t36 = load i32, ptr %t35
  %t37 = sub i32 %t36, 1
  store i32 %t37, ptr %t35
  %t38 = icmp eq i32 %t37, 0
  br i1 %t38, label %cold39, label %go40, !prof !0
cold39:
  store i64 %t31, ptr %S.0
  store i64 65536, ptr %S.152
  store i32 7, ptr %S.8
  ret void
go40:
  %t41 = load ptr, ptr %S.48
  %t42 = shl i64 %t31, 3
  %t43 = icmp ult i64 %t31, %limit
  br i1 %t43, label %in44, label %gone, !prof !1
in44:
  %t45 = getelementptr i8, ptr %t41, i64 %t42
  %t46 = load ptr, ptr %S.96
  %t47 = load i64, ptr %S.88
  %t48 = load i32, ptr %t45
  %t49 = sext i32 %t48 to i64
  %t50 = getelementptr i8, ptr %t46, i64 %t49
  musttail call preserve_nonecc void %t50(ptr %st, ptr %mem, ptr %t45, ptr %t46, i64 %t47)
  ret void
gone:
  %gone.pc = phi i64 [ %t19, %away20 ], [ %t31, %go40 ]
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

