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
%S.224 = getelementptr i8, ptr %st, i64 224
%S.232 = getelementptr i8, ptr %st, i64 232
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
  %t22 = load i64, ptr %B
  %t23 = sub i64 %t22, 1
  store i64 %t23, ptr %B
  store i64 0, ptr %R.x.12
  br label %L10004
L10004:
  callbr void asm sideeffect ".Lpvp${:uid}:\0A.pushsection pvp,\22a\22\0A.long .Lpvp${:uid}-., ${0:l}-.\0A.popsection", "!i"() to label %run24 [label %stop25]
stop25:
  %t26 = load i64, ptr %R.x.10
  %t27 = load i64, ptr %R.x.12
  %t28 = load i64, ptr %R.x.13
  store i64 %t26, ptr %S.592
  store i64 %t27, ptr %S.608
  store i64 %t28, ptr %S.616
  %t29 = load i64, ptr %B
  %t30 = add i64 %t29, 0
  %t31 = load i64, ptr %S.88
  %t32 = call i64 @llvm.readcyclecounter()
  store i64 %t30, ptr %S.88
  %t33 = sub i64 %t31, %t30
  %t34 = load i64, ptr %S.224
  %t35 = add i64 %t34, %t33
  store i64 %t35, ptr %S.224
  %t36 = sub i64 %t32, %since
  %t37 = load i64, ptr %S.232
  %t38 = add i64 %t37, %t36
  store i64 %t38, ptr %S.232
  store i64 65540, ptr %S.0
  store i32 4, ptr %S.8
  ret void
run24:
  %t39 = load i64, ptr %B
  %t40 = sub i64 %t39, 4
  store i64 %t40, ptr %B
  %t41 = load i64, ptr %R.x.10
  %t42 = add i64 %t41, 0
  %t43 = load i64, ptr %R.x.12
  %t44 = load i64, ptr %R.x.13
  store volatile i64 %t41, ptr %S.592
  store volatile i64 %t43, ptr %S.608
  store volatile i64 %t44, ptr %S.616
  %t45 = icmp uge i64 %t41, %limit
  br i1 %t45, label %beyond, label %go46, !prof !0
go46:
  %t47 = getelementptr i8, ptr %mem, i64 %t41
  call void asm sideeffect "/* 10004 */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t48 = load volatile i64, ptr %t47, align 1, !pcsections !2
  call void asm sideeffect "/* 10004 */", "=*m"(ptr elementtype(i32) %S.168) nomerge nounwind willreturn memory(argmem: readwrite)
  %t49 = add i64 %t43, %t48
  %t50 = add i64 %t41, 8
  %t51 = load i64, ptr %R.x.11
  %t52 = icmp ne i64 %t50, %t51
  br i1 %t52, label %then53, label %after54
then53:
  store i64 %t50, ptr %R.x.10
  store i64 %t49, ptr %R.x.12
  store i64 %t48, ptr %R.x.13
  br label %L10004
after54:
  store i64 %t50, ptr %R.x.10
  store i64 %t49, ptr %R.x.12
  store i64 %t48, ptr %R.x.13
  br label %L10014
L10014:
  %t55 = load i64, ptr %B
  %t56 = sub i64 %t55, 1
  store i64 %t56, ptr %B
  %t57 = load i64, ptr %R.x.1
  %t58 = and i64 %t57, 18446744073709551614
  %t59 = load i64, ptr %R.x.10
  %t60 = load i64, ptr %R.x.12
  %t61 = load i64, ptr %R.x.13
  store i64 %t59, ptr %S.592
  store i64 %t60, ptr %S.608
  store i64 %t61, ptr %S.616
  %t62 = load i64, ptr %B
  %t63 = add i64 %t62, 0
  %t64 = load i64, ptr %S.88
  %t65 = call i64 @llvm.readcyclecounter()
  store i64 %t63, ptr %S.88
  %t66 = sub i64 %t64, %t63
  %t67 = load i64, ptr %S.224
  %t68 = add i64 %t67, %t66
  store i64 %t68, ptr %S.224
  %t69 = sub i64 %t65, %since
  %t70 = load i64, ptr %S.232
  %t71 = add i64 %t70, %t69
  store i64 %t71, ptr %S.232
  %t72 = load ptr, ptr %S.48
  %t73 = shl i64 %t58, 3
  %t74 = icmp ult i64 %t58, %limit
  br i1 %t74, label %in75, label %gone, !prof !1
in75:
  %t76 = getelementptr i8, ptr %t72, i64 %t73
  %t77 = load ptr, ptr %S.96
  %t78 = load i64, ptr %S.88
  %t79 = load i32, ptr %t76
  %t80 = sext i32 %t79 to i64
  %t81 = getelementptr i8, ptr %t77, i64 %t80
  musttail call preserve_nonecc void %t81(ptr %st, ptr %mem, ptr %t76, ptr %t77, i64 %t78)
  ret void
beyond:
  %beyond.here = phi i64 [ 4, %run24 ]
  %beyond.undone = phi i64 [ 4, %run24 ]
  %t82 = load i64, ptr %B
  %t83 = add i64 %t82, %beyond.undone
  %t84 = load i64, ptr %S.88
  %t85 = call i64 @llvm.readcyclecounter()
  store i64 %t83, ptr %S.88
  %t86 = sub i64 %t84, %t83
  %t87 = load i64, ptr %S.224
  %t88 = add i64 %t87, %t86
  store i64 %t88, ptr %S.224
  %t89 = sub i64 %t85, %since
  %t90 = load i64, ptr %S.232
  %t91 = add i64 %t90, %t89
  store i64 %t91, ptr %S.232
  %t92 = add i64 %beyond.here, 65536
  store i64 %t92, ptr %S.0
  store i32 6, ptr %S.8
  ret void
gone:
  %gone.pc = phi i64 [ %t58, %L10014 ]
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
