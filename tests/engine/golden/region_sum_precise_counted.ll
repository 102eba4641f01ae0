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
%S.224 = getelementptr i8, ptr %st, i64 224
%S.232 = getelementptr i8, ptr %st, i64 232
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
  %B = alloca i64
  store i64 %budget, ptr %B
  %since = call i64 @llvm.readcyclecounter()
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
  %t14 = load i64, ptr %B
  %t15 = sub i64 %t14, 1
  store i64 %t15, ptr %B
  store i64 0, ptr %R.x.12
  br label %L10004
L10004:
  callbr void asm sideeffect ".Lpvp${:uid}:\0A.pushsection pvp,\22a\22\0A.long .Lpvp${:uid}-., ${0:l}-.\0A.popsection", "!i"() to label %run16 [label %stop17]
stop17:
  %t18 = load i64, ptr %R.x.10
  %t19 = load i64, ptr %R.x.12
  %t20 = load i64, ptr %R.x.13
  store i64 %t18, ptr %S.592
  store i64 %t19, ptr %S.608
  store i64 %t20, ptr %S.616
  %t21 = load i64, ptr %B
  %t22 = add i64 %t21, 0
  %t23 = load i64, ptr %S.88
  %t24 = call i64 @llvm.readcyclecounter()
  store i64 %t22, ptr %S.88
  %t25 = sub i64 %t23, %t22
  %t26 = load i64, ptr %S.224
  %t27 = add i64 %t26, %t25
  store i64 %t27, ptr %S.224
  %t28 = sub i64 %t24, %since
  %t29 = load i64, ptr %S.232
  %t30 = add i64 %t29, %t28
  store i64 %t30, ptr %S.232
  store i64 65540, ptr %S.0
  store i32 4, ptr %S.8
  ret void
run16:
  %t31 = load i64, ptr %B
  %t32 = sub i64 %t31, 4
  store i64 %t32, ptr %B
  %t33 = load i64, ptr %R.x.10
  %t34 = add i64 %t33, 0
  %t35 = icmp uge i64 %t33, %limit
  br i1 %t35, label %cold36, label %go37, !prof !0
cold36:
  %t38 = load i64, ptr %R.x.12
  %t39 = load i64, ptr %R.x.13
  store i64 %t33, ptr %S.592
  store i64 %t38, ptr %S.608
  store i64 %t39, ptr %S.616
  %t40 = load i64, ptr %B
  %t41 = add i64 %t40, 4
  %t42 = load i64, ptr %S.88
  %t43 = call i64 @llvm.readcyclecounter()
  store i64 %t41, ptr %S.88
  %t44 = sub i64 %t42, %t41
  %t45 = load i64, ptr %S.224
  %t46 = add i64 %t45, %t44
  store i64 %t46, ptr %S.224
  %t47 = sub i64 %t43, %since
  %t48 = load i64, ptr %S.232
  %t49 = add i64 %t48, %t47
  store i64 %t49, ptr %S.232
  store i64 65540, ptr %S.0
  store i32 6, ptr %S.8
  ret void
go37:
  %t50 = load i64, ptr %R.x.12
  %t51 = load i64, ptr %R.x.13
  store volatile i64 %t33, ptr %S.592
  store volatile i64 %t50, ptr %S.608
  store volatile i64 %t51, ptr %S.616
  %t52 = getelementptr i8, ptr %mem, i64 %t33
  call void asm sideeffect "/* 10004 */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t53 = load volatile i64, ptr %t52, align 1, !pcsections !2
  call void asm sideeffect "/* 10004 */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t54 = add i64 %t50, %t53
  %t55 = add i64 %t33, 8
  %t56 = load i64, ptr %R.x.11
  %t57 = icmp ne i64 %t55, %t56
  br i1 %t57, label %then58, label %after59
then58:
  store i64 %t55, ptr %R.x.10
  store i64 %t54, ptr %R.x.12
  store i64 %t53, ptr %R.x.13
  br label %L10004
after59:
  store i64 %t55, ptr %R.x.10
  store i64 %t54, ptr %R.x.12
  store i64 %t53, ptr %R.x.13
  br label %L10014
L10014:
  %t60 = load i64, ptr %B
  %t61 = sub i64 %t60, 1
  store i64 %t61, ptr %B
  %t62 = load i64, ptr %R.x.1
  %t63 = and i64 %t62, 18446744073709551614
  %t64 = load i64, ptr %R.x.10
  %t65 = load i64, ptr %R.x.12
  %t66 = load i64, ptr %R.x.13
  store i64 %t64, ptr %S.592
  store i64 %t65, ptr %S.608
  store i64 %t66, ptr %S.616
  %t67 = load i64, ptr %B
  %t68 = add i64 %t67, 0
  %t69 = load i64, ptr %S.88
  %t70 = call i64 @llvm.readcyclecounter()
  store i64 %t68, ptr %S.88
  %t71 = sub i64 %t69, %t68
  %t72 = load i64, ptr %S.224
  %t73 = add i64 %t72, %t71
  store i64 %t73, ptr %S.224
  %t74 = sub i64 %t70, %since
  %t75 = load i64, ptr %S.232
  %t76 = add i64 %t75, %t74
  store i64 %t76, ptr %S.232
  %t77 = load ptr, ptr %S.48
  %t78 = shl i64 %t63, 3
  %t79 = icmp ult i64 %t63, %limit
  br i1 %t79, label %in80, label %gone, !prof !1
in80:
  %t81 = getelementptr i8, ptr %t77, i64 %t78
  %t82 = load ptr, ptr %S.96
  %t83 = load i64, ptr %S.88
  %t84 = load i32, ptr %t81
  %t85 = sext i32 %t84 to i64
  %t86 = getelementptr i8, ptr %t82, i64 %t85
  musttail call preserve_nonecc void %t86(ptr %st, ptr %mem, ptr %t81, ptr %t82, i64 %t83)
  ret void
gone:
  %gone.pc = phi i64 [ %t63, %L10014 ]
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
