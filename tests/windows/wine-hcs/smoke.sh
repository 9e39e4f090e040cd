#!/bin/bash
# smoke.sh RUNHCS_EXE [PREFIX]
# Drives the real runhcs.exe through the life of process-isolated containers on
# the emulated Host Compute Service, printing every command with what it said.
# Last line: "N passed, N failed".  Without PREFIX it builds one and removes it.
#   WINE, CC  as for build.sh
set -u
[ $# -ge 1 ] || { echo "usage: smoke.sh RUNHCS_EXE [PREFIX]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
exe=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
WINE=$(command -v "${WINE:-wine64}") || { echo "no wine64: set WINE" >&2; exit 2; }
WINESERVER=${WINESERVER:-$(dirname "$(readlink -f "$WINE")")/wineserver}
export WINE
work=$(mktemp -d)
own_prefix=
if [ $# -ge 2 ]; then prefix=$2; else prefix=$work/prefix; own_prefix=1; fi
"$here/build.sh" "$prefix" "$work" || exit 1
prefix=$(cd "$prefix" && pwd)
export WINEPREFIX=$prefix WINEDEBUG=-all

# runhcs keeps its state in a volatile registry key, so the Wine server must
# stay up between commands; ending it is a reboot.
"$WINESERVER" -k 2>/dev/null; "$WINESERVER" -w 2>/dev/null
"$WINESERVER" -p
"$WINE" cmd /c exit </dev/null >/dev/null 2>&1
finish() { "$WINESERVER" -k; "$WINESERVER" -w; rm -rf "$work"; }
trap finish EXIT
rm -rf "$prefix/drive_c/wine-hcs"

pass=0 fail=0
win() { printf 'Z:%s' "${1//\//\\}"; }
probe=$(win "$work/probe.exe")
ok() { pass=$((pass + 1)); echo "    ok: $1"; }
bad() { fail=$((fail + 1)); echo "    FAILED: $1"; }
check() { if eval "$2"; then ok "$1"; else bad "$1"; fi; }
# await WHAT CONDITION: until it is true, for 20 s at most
await() {
	local end=$((SECONDS + 20))
	until eval "$2"; do
		[ $SECONDS -lt $end ] || { bad "$1: not in time"; return; }
		sleep 0.05
	done
}

# bundle NAME TICKS CODE [ENV...]: a container that runs probe.exe
bundle() {
	local d=$work/$1 name=$1 ticks=$2 code=$3 env='"FOO=bar"' e
	shift 3
	for e in "$@"; do env="$env,\"$e\""; done
	mkdir -p "$d" "$work/layer"
	rm -f "$d/probe.log"
	cat >"$d/config.json" <<END
{"ociVersion":"1.0.2",
 "process":{"user":{},"args":["${probe//\\/\\\\}","$(win "$d/probe.log" | sed 's/\\/\\\\/g')","$ticks","$code"],"cwd":"C:\\\\","env":[$env]},
 "hostname":"web-0","annotations":{"app":"$name"},
 "windows":{"layerFolders":["$(win "$work/layer" | sed 's/\\/\\\\/g')","$(win "$d/scratch" | sed 's/\\/\\\\/g')"]}}
END
}

# r ARGS...: one runhcs command; sets rc out err ms
r() {
	local t0 t1
	t0=$(date +%s%N)
	timeout 60 "$WINE" "$exe" "$@" </dev/null >"$work/out" 2>"$work/err"
	rc=$?
	t1=$(date +%s%N)
	ms=$(((t1 - t0) / 1000000))
	out=$(tr -d '\r' <"$work/out") err=$(tr -d '\r' <"$work/err")
	echo "\$ runhcs ${*//$(win "$work")/W:}"
	echo "    rc=$rc ${ms}ms"
	[ -z "$out" ] || echo "$out" | sed "s/^/    out: /"
	[ -z "$err" ] || echo "$err" | sed "s/^/    err: /"
	echo "$1 $ms" >>"$work/times"
}
# want RC [OUT_REGEX [ERR_REGEX]]; "-" for empty
want() {
	local re
	[ "$rc" = "$1" ] || { bad "exit code $1"; return; }
	re=${2:-}
	[ "$re" != - ] || re='^$'
	[[ $out =~ $re ]] || { bad "stdout: $re"; return; }
	re=${3:-}
	[ "$re" != - ] || re='^$'
	[[ $err =~ $re ]] || { bad "stderr: $re"; return; }
	ok "exit code $1"
}
# what a usage error prints on stdout: the verb's help
help() { printf '^NAME:\n   runhcs.exe %s - .*\n\nUSAGE:\n   runhcs.exe %s ' "$1" "$1"; }
b() { win "$work/$1"; }
mirror() { cat "$prefix/drive_c/wine-hcs/$1.json" 2>/dev/null; }
ticks() { grep -c tick "$work/$1/probe.log" 2>/dev/null; }
pid() { cat "$work/$1.pid"; }
# create NAME [BUNDLE], with a pid file; start NAME
create() { r create -b "$(b "${2:-$1}")" --pid-file "$(win "$work/$1.pid")" "$1"; want 0 - -; }
watch_shim() {
	rm -f "$work/$1.exit"
	timeout 60 "$WINE" "$work/probe.exe" wait "$(pid "$1")" </dev/null >"$work/$1.exit" 2>/dev/null &
	watcher=$!
	await "the shim is watched" "grep -q watching '$work/$1.exit' 2>/dev/null"
}
shim_exit() { wait "$watcher"; check "shim's exit code is $2" "tr -d '\r' <'$work/$1.exit' | grep -q '^exit code $2\$'"; }
# the container's program runs; its system has stopped; a while for what must not happen
runs() { await "$1 runs" "grep -q tick '$work/$1/probe.log' 2>/dev/null"; }
stops() { await "$1 stops" "mirror $1 | grep -q Stopped"; }
meanwhile() { sleep 0.6; }
invalid='The requested virtual machine or container operation is not valid in the current state\.$'

echo "=== no such container"
for verb in state start kill pause resume ps delete; do r $verb nope; want 1 - "^ID 'nope' was not found$"; done
r delete --force nope; want 1 - "^ID 'nope' was not found$"
r exec nope cmd; want 1 - "^ID 'nope' was not found$"
r resize-tty nope 80 25; want 1 - "^ID 'nope' was not found$"
r list; want 0 '^ID +PID +STATUS +BUNDLE +CREATED +OWNER$' -
r list -f json; want 0 '^null$' -
r list -q; want 0 - -
r list -f xml; want 1 - '^invalid format option$'
r state; want 1 "$(help state)" '^invalid command usage$'
r bogus; want 3 - "^No help topic for 'bogus'$"

echo "=== create that fails leaves nothing"
bundle c 200 7
r create -b "$(b nobundle)" c; want 1 - '^chdir .*nobundle: '
mkdir -p "$work/empty" "$work/badjson" "$work/nowin" "$work/nolayer"
r create -b "$(b empty)" c; want 1 - '^JSON specification file config.json not found$'
echo '{bad' >"$work/badjson/config.json"
r create -b "$(b badjson)" c; want 1 - '^invalid character'
echo '{"ociVersion":"1.0.2","process":{"user":{},"args":["cmd"],"cwd":"C:\\"}}' >"$work/nowin/config.json"
r create -b "$(b nowin)" c; want 1 - "^field 'Spec.Windows.Layerfolders' is not populated$"
sed 's/\\\\layer"/\\\\gone"/' "$work/c/config.json" >"$work/nolayer/config.json"
r create -b "$(b nolayer)" c; want 1 - 'CreateScratchLayer failed in Win32: The system cannot find the path specified\. \(0x3\)$'
r create -b "$(b c)" --pid-file "$(win "$work/none/pid")" c; want 1 - 'The system cannot find the path specified\.$'
WINE_HCS_FAIL='HcsCreateComputeSystem=0xC0370106' r create -b "$(b c)" c; want 1 - '^hcs::CreateComputeSystem c: The virtual machine or container exited unexpectedly\.$'
r list -q; want 0 - -

echo "=== created"
create c
check "pid file holds digits only" "[[ \"\$(pid c)\" =~ ^[0-9]+\$ ]]"
r state c; want 0 "\"pid\": $(pid c),.*\"status\": \"created\"" -
r list; want 0 "c +$(pid c) +created" -
r list -f json; want 0 '"status":"created"' -
r ps c; want 0 '^null$' -
r pause c; want 1 - "^hcs::System::Pause c: $invalid"
r resume c; want 1 - "^hcs::System::Resume c: $invalid"
r kill c; want 1 - '^container is stopped$'
r exec c cmd; want 1 - '^container is stopped$'
r resize-tty c 80 25; want 1 - "^state 'pid' is not present for ID 'c'$"
r create -b "$(b c)" c; want 1 - '^container c already exists$'

echo "=== running"
r start c; want 0 - -
runs c
r start c; want 1 - '^cannot start an already running container$'
r state c; want 0 '"status": "running"' -
r ps c; want 0 '^\[[0-9]+\]$' -
r resume c; want 1 - "^hcs::System::Resume c: $invalid"
r delete c; want 1 - '^cannot delete container c that is not stopped: running$'
r create -b "$(b c)" c; want 1 - '^container c already exists$'
r kill c BOGUS; want 1 - '^invalid signal value$'
r resize-tty c 80 25; want 0 - -
check "size recorded" "mirror c | grep -q '\"Width\":80,\"Height\":25'"
r resize-tty c 0 25; want 1 "$(help resize-tty)" '^invalid command usage$'
r resize-tty c 80; want 1 "$(help resize-tty)" '^invalid command usage$'
r resize-tty --pid 99999 c 80 25; want 1 - "^state 'pid-99999' is not present for ID 'c'$"
check "environment and host name reach the process" "grep -q 'FOO=bar COMPUTERNAME=web-0' '$work/c/probe.log'"

echo "=== exec"
r exec c cmd /c exit 3; want 3 - -
r exec c cmd /c "echo hello"; want 0 - -
r exec --env FOO=zip --cwd 'C:\windows' c cmd /c "echo %FOO% %CD%> $(win "$work/exec.txt")"; want 0 - -
check "exec's env and cwd" "grep -q 'zip C:.windows' '$work/exec.txt'"
r exec c nosuch.exe; want 1 - '^hcs::System::CreateProcess: nosuch.exe c: The system cannot find the file specified\.'
r exec --detach c nosuch.exe; want 1 - 'The system cannot find the file specified\.'
r exec --cwd 'C:\nosuch' c cmd /c exit; want 1 - 'The directory name is invalid\.'
r exec c; want 1 - '^process args cannot be empty$'
r exec -p "$(win "$work/none.json")" c; want 1 - 'The system cannot find the file specified\.'
echo '{"args":["cmd","/c","exit 9"],"cwd":"C:\\","user":{}}' >"$work/p.json"
r exec -p "$(win "$work/p.json")" c; want 9 - -
r exec --tty c cmd /c exit 4; want 4 - -
mkdir -p "$work/e"
r exec --detach --pid-file "$(win "$work/e.pid")" c "$probe" "$(win "$work/e/probe.log")" 20 5; want 0 - -
watch_shim e
r ps c; want 0 '^\[[0-9]+,[0-9]+\]$' -
r resize-tty --pid "$(pid e)" c 132 43; want 0 - -
check "exec's size recorded" "mirror c | grep -q '\"Width\":132,\"Height\":43'"
shim_exit e 5
r ps c; want 0 '^\[[0-9]+\]$' -

echo "=== paused"
r pause c; want 0 - -
t0=$(ticks c); meanwhile
check "a paused container does nothing" "[ $t0 -eq \$(ticks c) ]"
r state c; want 0 '"status": "paused"' -
r pause c; want 1 - "^hcs::System::Pause c: $invalid"
r start c; want 1 - "^cannot start a container in the 'paused' state$"
r kill c; want 1 - '^container is stopped$'
r exec c cmd; want 1 - '^container is stopped$'
r delete c; want 1 - '^cannot delete container c that is not stopped: paused$'
r ps c; want 0 '^\[[0-9]+\]$' -
r resize-tty c 90 30; want 0 - -
r resume c; want 0 - -
await "a resumed container goes on" "[ $t0 -lt \$(ticks c) ]"
WINE_HCS_FAIL='HcsPauseComputeSystem=0x80070032' r pause c; want 1 - '^hcs::System::Pause c: The request is not supported\.$'

echo "=== kill, and stopped"
watch_shim c
r kill c; want 0 - -
shim_exit c 3221225786
r state c; want 0 '"pid": 0,.*"status": "stopped"' -
r list; want 0 'c +0 +stopped' -
r start c; want 1 - '^cannot start a container that has stopped$'
for verb in pause resume kill ps; do r $verb c; want 1 - '^container is stopped$'; done
r exec c cmd; want 1 - '^container is stopped$'
r resize-tty c 80 25; want 1 - '^container is stopped$'
r create -b "$(b c)" c; want 1 - '^container c already exists$'
r delete c; want 0 - -
r delete c; want 1 - "^ID 'c' was not found$"
check "the scratch layer stays mounted after delete" "grep -q '^prepared .*c.scratch' '$prefix'/drive_c/wine-hcs/layers/*"

echo "=== exit codes"
bundle x 3 7; create x; watch_shim x; r start x; want 0 - -; shim_exit x 7
r delete x; want 0 - -
bundle x 200 7; create x; watch_shim x; r start x; r kill x KILL; want 0 - -; shim_exit x 4294967295
r delete --force x; want 0 - -
bundle x 200 7 WINE_HCS_ON_SIGNAL=ignore; create x; watch_shim x; r start x; r kill x TERM; want 0 - -; meanwhile
r state x; want 0 '"status": "running"' -
r kill x 9; want 0 - -; shim_exit x 4294967295; r delete x; want 0 - -
bundle x 200 7; create x; watch_shim x; r start x; r delete --force x; want 0 - -; shim_exit x 1067
create x; r start x; r pause x; watch_shim x; r delete --force x; want 0 - -; shim_exit x 1067
create x; watch_shim x; r delete x; want 0 - -; shim_exit x 1
sed "s/\"[^\"]*probe.exe\"/\"nosuch.exe\"/" "$work/x/config.json" >"$work/x.tmp" && mv "$work/x.tmp" "$work/x/config.json"
create x; watch_shim x; r start x; want 1 - '^hcs::System::CreateProcess: nosuch.exe .* x: The system cannot find the file specified\.'; shim_exit x 1
r state x; want 0 '"status": "stopped"' -
r delete x; want 0 - -
bundle x 3 7; r run -b "$(b x)" x; want 7 - -
r list -q; want 0 - -
r run --detach -b "$(b x)" --pid-file "$(win "$work/x.pid")" x; want 0 - -; watch_shim x; shim_exit x 7
r delete x; want 0 - -

echo "=== init has ended, the container not yet (its shutdown takes 3 s)"
bundle w 200 7
WINE_HCS_DELAY='HcsShutdownComputeSystem=3000' create w
watch_shim w; r start w; r kill w; want 0 - -
await "init has ended" "mirror w | grep -q '\"Exited\":true'"
r state w; want 0 '"pid": [1-9].*"status": "running"' -
r ps w; want 0 '^null$' -
r kill w; want 1 - '^hcs::System::OpenProcess w: Element not found\.$'
r resize-tty w 80 25; want 1 - '^hcs::System::OpenProcess w: Element not found\.$'
r delete w; want 1 - '^cannot delete container w that is not stopped: running$'
r exec w cmd /c exit 6; want 6 - -
shim_exit w 3221225786
r state w; want 0 '"pid": 0,.*"status": "stopped"' -
r delete w; want 0 - -

echo "=== a terminal"
bundle y 200 7
sed 's/"process":{/"process":{"terminal":true,"consoleSize":{"height":30,"width":100},/' "$work/y/config.json" >"$work/y.tmp" && mv "$work/y.tmp" "$work/y/config.json"
create y; watch_shim y; r start y; want 0 - -
check "first size recorded" "mirror y | grep -q '\"Width\":100,\"Height\":30'"
r resize-tty y 120 40; want 0 - -
check "new size recorded" "mirror y | grep -q '\"Width\":120,\"Height\":40'"
r kill y; want 0 - -; shim_exit y 4294967295; r delete y; want 0 - -

echo "=== descendants"
bundle z 200 7
create z; r start z; want 0 - -
r exec --detach z cmd /c "$probe $(win "$work/z/child.log") 200 0"; want 0 - -; runs z; await "the child runs" "grep -q tick '$work/z/child.log' 2>/dev/null"
r ps z; want 0 '^\[[0-9]+(,[0-9]+){2,3}\]$' -    # init, cmd, its child, and Wine's conhost.exe
r kill z; stops z; t0=$(grep -c tick "$work/z/child.log"); meanwhile
check "descendants end with the container" "[ $t0 -eq \$(grep -c tick '$work/z/child.log') ]"
r delete z; want 0 - -

echo "=== a shim or a create that dies"
bundle d 200 7; create d; watch_shim d; r start d; runs d
"$WINE" "$work/probe.exe" kill "$(pid d)" </dev/null >/dev/null 2>&1; shim_exit d 1
t0=$(ticks d); meanwhile
check "the container dies with its shim" "[ $t0 -eq \$(ticks d) ]"
r state d; want 0 "\"pid\": $(pid d),.*\"status\": \"stopped\"" -
r kill d; want 1 - '^container is stopped$'
r delete d; want 0 - -
WINE_HCS_DELAY='HcsCreateComputeSystem=20000' "$WINE" "$exe" create -b "$(b d)" d </dev/null >/dev/null 2>&1 &
half=$!; await "create is half done" "\"$WINE\" \"$exe\" list -q </dev/null 2>/dev/null | grep -q d"
kill -9 $half; wait $half 2>/dev/null
r state d; want 0 '"pid": -1,.*"status": "stopped"' -
r start d; want 1 - '^cannot start a container that has stopped$'
r create -b "$(b d)" d; want 1 - '^container d already exists$'
r delete d; want 0 - -

echo "=== an old shim writes into a new container of the same id"
bundle d 200 7
WINE_HCS_DELAY='HcsGetProcessProperties=1500' r create -b "$(b d)" d; want 0 - -
r start d; r delete --force d; want 0 - -
create d
clobbered() { r state d >/dev/null; [[ $out =~ '"pid": 0,' ]]; }
await "the old shim writes" clobbered
r state d; want 0 '"pid": 0,.*"status": "stopped"' -
r delete d; want 0 - -
r create -b "$(b d)" d; want 1 - '^hcs::CreateComputeSystem d: A virtual machine or container with the specified identifier already exists\.$'
"$WINE" "$work/probe.exe" kill "$(pid d)" </dev/null >/dev/null 2>&1

echo "=== stdio of a client on Windows: stdout and stderr one pipe"
bundle s 30 0
cap() { timeout 60 "$WINE" "$work/probe.exe" capture "$(win "$exe") $*" </dev/null 2>/dev/null | tr -d '\r' | sed "s/^/    /" | tee "$work/cap"; }
# the pipe must not outlive the command: less than 1 s, while the container runs 3 s
closed() { check "$1: the pipe ended with the command" "grep -qE 'command ended after [0-9]+ ms, pipe after [0-9]{1,3} ms' '$work/cap'"; }
cap create -b "$(b s)" s; closed create
cap start s; closed start
cap exec s cmd /c echo hello
check "exec's output is lost" "grep -q '^    \[\] exit code 0' '$work/cap'"
cap exec --detach s "$probe" "$(win "$work/e/probe2.log")" 20 5; closed "exec --detach"
await "the probe has written twice" "grep -q 'tick 1' '$work/s/probe.log' 2>/dev/null"
sed -n 1,3p "$work/s/probe.log" | sed 's/^/    probe: /'
check "the container's stdout is broken after its first write" "grep -q 'tick 0 stdout=0' '$work/s/probe.log' && grep -q 'tick 1 stdout=232' '$work/s/probe.log'"
r delete --force s; want 0 - -

echo "=== stdio of a client on Linux: a pipe for each"
t0=$(date +%s)
timeout 60 "$WINE" "$exe" create -b "$(b s)" s </dev/null 2> >(cat >"$work/err2") | cat
timeout 60 "$WINE" "$exe" start s </dev/null 2>&1 | cat
check "neither pipe is held open" "[ \$((\$(date +%s) - t0)) -lt 3 ]"
r delete --force s; want 0 - -

echo "=== several at once, odd ids"
for i in 1 2 3 4; do bundle m$i 200 7; done
for i in 1 2 3 4; do timeout 60 "$WINE" "$exe" create -b "$(b m$i)" "m/$i @x" </dev/null >/dev/null 2>&1 & jobs_[$i]=$!; done
for i in 1 2 3 4; do wait "${jobs_[$i]}"; check "create $i" "[ $? -eq 0 ]"; done
for i in 1 2 3 4; do r start "m/$i @x"; want 0 - -; done
r list; want 0 'm/4 @x' -
for i in 1 2 3 4; do r delete --force "m/$i @x"; want 0 - -; done
r list -q; want 0 - -

echo "=== median ms of each verb (Wine process start included)"
sort -k1,1 -k2,2n "$work/times" | awk '{ if ($1 != v) { if (v != "") print v, a[int((n + 1) / 2)]; v = $1; n = 0 } a[++n] = $2 } END { print v, a[int((n + 1) / 2)] }' | sed 's/^/    /'
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
