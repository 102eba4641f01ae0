# Bash's own ways, one section each: what it prints is the same on every processor.
set -u
export LC_ALL=C
cd "$(mktemp -d)"
section() { printf -- '-- %s\n' "$1"; }

section arrays
a=(one two 'three four' [7]=seven)
a+=(eight)
echo "${#a[@]} ${!a[*]} ${a[2]} ${a[-1]} ${a[@]:1:2}"
declare -A table=([red]=1 [green]=2 ['dark blue']=3)
for key in "${!table[@]}"; do echo "$key=${table[$key]}"; done | sort
unset 'a[7]'
declare -p a
mapfile -t lines < <(printf '%s\n' x 'y z' '')
echo "${#lines[@]} [${lines[1]}] [${lines[2]}]"

section expansion
text='The quick brown fox'
echo "${text/quick/slow} ${text//o/0} ${text^^} ${text,,} ${text#* } ${text##* } ${text%% *} ${#text}"
echo {1..5} {a..e..2} {01..03}x pre{A,B{1,2}}post
echo "${unset_one:-default} ${unset_two:=assigned} $unset_two ${text:4:5} ${text: -3}"
set -- a 'b c' d
printf '<%s>' "$@" "$*" "${@:2}"; echo
printf '%q %s %05.2f %x %c %b\n' 'a b$' str 3.14159 255 Q 'tab\there'
echo $((2 ** 40)) $((-7 / 2)) $((-7 % 3)) $((0x1f ^ 8#17)) $((5 > 3 ? 10 : 20)) $((1 << 62)) $((i = 5, i++ + ++i))

section here-documents
cat <<A; cat <<'B'; cat <<-C
$((6 * 7)) $(echo inner)
A
$((6 * 7)) $(echo inner)
B
	tab gone
C
cat <<<"a here string"
while read -r first rest; do echo "$rest $first"; done <<< $'1 one\n2 two'

section patterns
[[ abc123 =~ ^([a-z]+)([0-9]+)$ ]] && echo "${BASH_REMATCH[@]}"
shopt -s extglob nullglob
touch a.txt b.txt c.log 'with space.txt'
echo *.txt ?.@(txt|log) !(*.txt)
case x.tar.gz in *.tar.@(gz|xz)) echo archive ;& *) echo falls ;; esac

section pipes
seq 1 1000 | sort -rn | { read -r x; echo "$x"; cat > rest; wc -l < rest; }
set -o pipefail
false | true | (exit 3) | true; echo "$? ${PIPESTATUS[*]}"
set +o pipefail
yes | head -n 2; echo "${PIPESTATUS[*]}"
echo out 2>&1 >/dev/null; { echo err >&2; } 2>&1 | tr a-z A-Z
exec {fd}<>both; echo kept >&$fd; exec {fd}>&-; cat both

section process substitution
diff <(seq 1 5) <(seq 2 6); echo $?
paste -d: <(printf '%s\n' a b) <(printf '%s\n' 1 2)
tee >(tr a-z A-Z > upper) >(wc -c > count) <<< abc > /dev/null
until [[ -s upper && -s count ]]; do sleep 0.01; done; cat upper count

section subshells
x=1; (x=2; echo $x $BASH_SUBSHELL); echo $x
echo "$(echo "$(echo deep)")" "$( (exit 5); echo $?)"
f() { local x=local; g; echo "$x"; }; g() { x=changed; }; f; echo $x
fact() { (( $1 < 2 )) && echo 1 || echo $(( $1 * $(fact $(($1 - 1))) )); }; fact 8
ref() { local -n to=$1; to+=(more); }; ref a; echo "${a[-1]}"

section traps
trap 'echo usr1 $?' USR1; kill -USR1 $$; trap - USR1
(trap 'echo bye' EXIT; exit 3); echo $?
trap 'echo err at $LINENO' ERR; false; trap - ERR
bash -c 'trap "echo term; exit 9" TERM; kill -TERM $$; sleep 5'; echo $?
(trap '' INT; kill -INT $BASHPID; echo ignored)
{ bash -c 'kill -SEGV $$'; } 2> /dev/null; echo $?
trap 'chld=1' CHLD; sleep 0.01 & wait; echo "chld ${chld:-0}"; trap - CHLD
sleep 5 & sleeper=$!; trap 'echo woken' ALRM; (sleep 0.1; kill -ALRM $$) & wait $sleeper; kill $sleeper; wait; trap - ALRM

section jobs
bash <<'JOBS'
set -m
sleep 5 & one=$!; sleep 6 & two=$!
jobs -r | tr -s ' '
kill -STOP %1; until [[ $(jobs -s) == *Stopped* ]]; do sleep 0.01; done; jobs -s | tr -s ' '
bg %1 > /dev/null; kill %1 %2; wait $one; echo $?; wait $two; echo $?
(exit 4) & wait -n $!; echo "wait -n $?"
sleep 0.05 & fg %+ > /dev/null; echo fg $?
JOBS
coproc DOUBLE { while read -r n; do echo $((2 * n)); done; }
echo 21 >&"${DOUBLE[1]}"; read -r answer <&"${DOUBLE[0]}"; echo "$answer"
eval "exec ${DOUBLE[1]}>&-"; wait "$DOUBLE_PID"; echo $?

section reading
read -r -t 0.1 nothing < <(sleep 1); echo $(($? > 128))
read -r -n 3 three <<< abcdef; echo "$three"
IFS=: read -r user _ id <<< root:x:0; echo "$user $id"
printf 'a\0b\0' | while IFS= read -r -d '' item; do echo "$item"; done
while getopts 'ab:' option -a -b value; do echo "$option ${OPTARG-}"; done

section limits and files
ulimit -n 64; ulimit -n; (ulimit -f 1; head -c 4096 /dev/zero > big) 2> /dev/null; echo $?
umask 027; umask; mkdir d; stat -c %a d; : > d/f; [[ d/f -nt nothing && -O d/f && ! -s d/f ]] && echo newer
mkfifo pipe; (echo through > pipe) & cat pipe; wait
ln -s d/f link; readlink link; [[ -L link && d/f -ef link ]] && echo same
cd d && cd - > /dev/null && echo "${OLDPWD##*/}"
(exec -a other bash -c 'echo $0'); exec 7<&0; exec 7<&-
env -i A=1 bash -c 'echo $A ${HOME-none}'; command -v cd; type -t section
printf '#!/bin/bash\necho "$# $1"\n' > script; chmod +x script; ./script 'an argument'
(exec ./missing) 2> /dev/null; echo $?; (./d) 2> /dev/null; echo $?
echo "$SECONDS" | grep -c '^[0-9]*$'
