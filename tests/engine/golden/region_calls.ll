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
  switch i64 %t12, label %G10000 [ i64 524384, label %G1000c ]
G10000:
  %t13 = load i64, ptr %S.520
  store i64 %t13, ptr %R.x.1
  %t14 = load i64, ptr %S.592
  store i64 %t14, ptr %R.x.10
  br label %L10000
G1000c:
  %t15 = load i64, ptr %S.520
  store i64 %t15, ptr %R.x.1
  %t16 = load i64, ptr %S.592
  store i64 %t16, ptr %R.x.10
  br label %L1000c
L10000:
  callbr void asm sideeffect ".Lpvp${:uid}:\0A.pushsection pvp,\22a\22\0A.long .Lpvp${:uid}-., ${0:l}-.\0A.popsection", "!i"() to label %run17 [label %stop18]
stop18:
  %t19 = load i64, ptr %R.x.10
  store i64 %t19, ptr %S.592
  store i64 65536, ptr %S.0
  store i32 4, ptr %S.8
  ret void
run17:
  store i64 65540, ptr %R.x.1
  br label %L1000c
L10004:
  %t20 = load i64, ptr %R.x.10
  %t21 = icmp eq i64 %t20, 0
  br i1 %t21, label %then22, label %after23
then22:
  br label %door0
after23:
  br label %L10006
L10006:
  br label %L10000
L1000c:
  %t24 = load i64, ptr %R.x.10
  %t25 = add i64 %t24, 18446744073709551615
  %t26 = load i64, ptr %R.x.1
  %t27 = and i64 %t26, 18446744073709551614
  store i64 %t25, ptr %R.x.10
  switch i64 %t27, label %away28 [ i64 65540, label %L10004 ]
away28:
  store i64 %t26, ptr %S.520
  store i64 %t25, ptr %S.592
  %t29 = load ptr, ptr %S.48
  %t30 = shl i64 %t27, 3
  %t31 = icmp ult i64 %t27, %limit
  br i1 %t31, label %in32, label %gone, !prof !1
in32:
  %t33 = getelementptr i8, ptr %t29, i64 %t30
  %t34 = load ptr, ptr %S.96
  %t35 = load i64, ptr %S.88
  %t36 = load i32, ptr %t33
  %t37 = sext i32 %t36 to i64
  %t38 = getelementptr i8, ptr %t34, i64 %t37
  musttail call preserve_nonecc void %t38(ptr %st, ptr %mem, ptr %t33, ptr %t34, i64 %t35)
  ret void
door0:
  %door0.here = phi i64 [ 8, %then22 ]
  %t39 = add i64 %door0.here, 65536
  %t40 = load i64, ptr %R.x.1
  %t41 = load i64, ptr %R.x.10
  store i64 %t40, ptr %S.520
  store i64 %t41, ptr %S.592
  %t42 = load ptr, ptr %S.128
  %t43 = getelementptr i32, ptr %t42, i64 0
  %t44 = load i32, ptr %t43
  %t45 = sub i32 %t44, 1
  store i32 %t45, ptr %t43
  %t46 = icmp eq i32 %t45, 0
  br i1 %t46, label %cold47, label %go48, !prof !0
cold47:
  store i64 %t39, ptr %S.0
  store i64 65536, ptr %S.152
  store i32 7, ptr %S.8
  ret void
go48:
  %t49 = load ptr, ptr %S.48
  %t50 = shl i64 %t39, 3
  %t51 = icmp ult i64 %t39, %limit
  br i1 %t51, label %in52, label %gone, !prof !1
in52:
  %t53 = getelementptr i8, ptr %t49, i64 %t50
  %t54 = load ptr, ptr %S.96
  %t55 = load i64, ptr %S.88
  %t56 = load i32, ptr %t53
  %t57 = sext i32 %t56 to i64
  %t58 = getelementptr i8, ptr %t54, i64 %t57
  musttail call preserve_nonecc void %t58(ptr %st, ptr %mem, ptr %t53, ptr %t54, i64 %t55)
  ret void
gone:
  %gone.pc = phi i64 [ %t27, %away28 ], [ %t39, %go48 ]
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

