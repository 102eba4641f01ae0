# Pipelines of coreutils, findutils, grep, sed, awk, tar and compressors.
set -u
export LC_ALL=C TZ=UTC0
cd "$(mktemp -d)"
section() { printf -- '-- %s\n' "$1"; }
seq 1 3000 | awk '{ x = (x * 1103515245 + 12345 + $1) % 2147483648; printf "%d %s %05d\n", $1, substr("abcdefghijklmnopqrstuvwxyz", x % 20 + 1, 6), x % 100000 }' > table
head -c 100000 /dev/zero | tr '\0' 'A' > zeros; cat table zeros > both

section sums
md5sum < both; sha1sum < both; sha256sum < both; sha512sum < both | cut -c1-40; b2sum < both | cut -c1-40; cksum < both; sum < both
sha256sum table both > sums; sha256sum -c sums
section sorting
sort -k3n table | tail -n 2; sort -k2,2 -k3,3nr table | head -n 2; sort -u -k2,2 table | wc -l; sort -R --random-source=zeros table | sort -n | cmp - <(sort -n table) && echo permuted
sort --parallel=2 -S 100k -k3 both | md5sum; shuf -n 3 --random-source=both -i 1-100 | sort -n | wc -l
section cutting
cut -d' ' -f2,3 table | head -n 2; cut -c1-3 table | uniq -c | head -n 2; tr -s ' ' '\t' < table | tail -n 1; rev <<< abc 2>/dev/null || echo cba
paste -sd+ <(seq 1 100) | bc 2>/dev/null || echo 5050; fold -w 20 table | head -n 2; fmt -w 30 <<< 'some words that are longer than thirty columns in all'
join <(head -n 5 table) <(seq 3 4) ; comm -12 <(seq 1 5) <(seq 4 8); nl table | tail -n 1; tac table | head -n 1; pr -l 10 -t -2 <(seq 1 6); column -t <(echo a b) 2> /dev/null || true
section splitting
split -n 4 -d both part.; cat part.* | cmp - both && echo whole; csplit -sz table '/^100 /' '{0}'; wc -l xx0*; od -An -tx1 -N16 both; od -An -td8 -N16 both; od -An -tfD -N16 both | tr -s ' '; base64 table | head -n 1; base32 <<< polyvm; basenc --base16 <<< x
section numbers
expr 7 '*' 6; factor 1234567890123 18446744073709551557; seq -w 8 11 | paste -sd' '; seq 0.1 0.25 1 | paste -sd' '; numfmt --to=iec 123456789 1024; printf '%.17g %e\n' 0.1 12345.678; test 3 -lt 10 && echo less
echo '1 2 3.5' | awk '{ printf "%.3f %g %d %s\n", sqrt($1 + $2), exp($3), 2^31, log($3) }'; awk 'BEGIN { srand(1); for (i = 0; i < 5; i++) s = s sprintf("%.6f ", sin(i) * atan2(i, 2)); print s }'
section files
mkdir -p d/e/f; cp -a table d/e; mv d/e/table d/e/f/t; ln d/e/f/t d/hard; ln -s e/f/t d/soft; cp -r d d2; find d d2 | sort; stat -c '%s %F %h' d/hard d/soft; readlink -f d/soft | sed 's,.*/d/,d/,'; touch -d '2001-02-03 04:05:06' d/e; stat -c '%y' d/e; ls -ld --time-style=full-iso d/e | cut -d' ' -f6-8; date -d '2024-02-29 +1 year' +%F; date -u -d @1e9 2> /dev/null; date -d @1000000000 +%c
chmod 640 d/hard; stat -c %A d/hard; truncate -s 5000 big; fallocate -l 9000 big; stat -c %s big; dd if=both of=copy bs=1000 skip=3 count=5 status=none; cmp <(tail -c +3001 both | head -c 5000) copy && echo copied; rm -r d2; test -e d2 || echo gone; mktemp -u XXXX | wc -c; install -m 755 table d/installed; stat -c %a d/installed; du -b table | cut -f1; df . > /dev/null && echo df; realpath --relative-to=d d/e/f; basename /x/y.c .c; dirname /x/y.c; mkfifo p; (cat table > p &); wc -l < p; link table linked; unlink linked; sync; shred -n 1 -u copy; test -e copy || echo shredded
section processes
timeout 0.1 sleep 5; echo $?; { timeout -s KILL 0.1 sleep 5; echo $?; } 2> /dev/null; nice -n 19 nice; nohup echo hup 2> /dev/null; env -i X=1 printenv X; id -u | grep -c .; uname -s; whoami 2> /dev/null | wc -l; nproc | grep -c '[0-9]'; stdbuf -oL echo buffered; echo a b c | xargs -n 1 -P 2 echo | sort; seq 1 20 | xargs -n 5 sh -c 'echo $#' x; tty < /dev/null; sleep 0.01; kill -l 9; true; false || echo false; yes y | head -n 1; pwd | grep -c /; printenv LC_ALL; groups > /dev/null 2>&1; echo done
section text
grep -c 'ab\|z' table; grep -E '^([0-9])\1 ' table | head -n 2; grep -v e table | wc -l; grep -oP '\d+(?= mn)' table | head -n 2; sed -n '5{s/ /_/g;p}' table; sed -E 's/^([0-9]+) (.)/\2\1/;10q' table | tail -n 1; awk '{ n[length($2)] += $3 } END { for (k in n) print k, n[k] }' table | sort -n; awk 'NR % 1000 == 0 { gsub(/[aeiou]/, "*"); print toupper($0) }' table; find . -name '*t*' -type f -size +1k -newermt 2000-01-01 | sort | head -n 3; diff -u <(seq 1 4) <(seq 1 5 | grep -v 2) | tail -n +3
section archives
tar cf - d table | tar tf - | sort; tar czf a.tgz d; tar xzOf a.tgz d/e/f/t | cmp - table && echo gzip; gzip -9 -c both | gzip -dc | cmp - both && echo same; gzip -n -c both | md5sum | wc -c; for tool in bzip2 xz zstd; do command -v $tool > /dev/null || continue; $tool -q -c both > both.$tool; $tool -dc both.$tool | cmp - both && echo $tool; done
