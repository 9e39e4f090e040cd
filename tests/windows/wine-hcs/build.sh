#!/bin/sh
# build.sh PREFIX [OUT]
# Compiles the libraries and probe.exe into OUT (default: a folder that is
# removed again) and makes PREFIX a Wine prefix in which runhcs.exe works, with
# probe.exe in C:\windows and nap.so beside drive_c.  May be run again.
#   WINE  wine64 binary (default: wine64 on PATH)
#   CC    compiler (default: x86_64-w64-mingw32-gcc)
#   HOSTCC  compiler for this machine (default: cc)
set -eu
[ $# -ge 1 ] || { echo "usage: build.sh PREFIX [OUT]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
wine=$(command -v "${WINE:-wine64}") || { echo "no wine64: set WINE" >&2; exit 2; }
cc=${CC:-x86_64-w64-mingw32-gcc}

if [ $# -ge 2 ]; then
	mkdir -p "$2"
	out=$(cd "$2" && pwd)
else
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
fi
flags="-std=gnu17 -O1 -Wall -Wextra -Werror -s"
(
	cd "$here"
	# shellcheck disable=SC2086  # flags are words
	"$cc" $flags -shared -o "$out/vmcompute.dll" text.c json.c system.c process.c launch.c notify.c layer.c wine.c
	# shellcheck disable=SC2086
	"$cc" $flags -shared -o "$out/bcryptprimitives.dll" bcryptprimitives.c -ladvapi32
	# shellcheck disable=SC2086
	"$cc" $flags -shared -o "$out/taskmem.dll" taskmem.c
	# shellcheck disable=SC2086
	"$cc" $flags -o "$out/probe.exe" probe.c
	# shellcheck disable=SC2086
	"${HOSTCC:-cc}" $flags -shared -fPIC -o "$out/nap.so" nap.c
)

export TZ=UTC WINEPREFIX="$prefix" WINEDEBUG="${WINEDEBUG:--all}" WINEARCH=win64 WINEDLLOVERRIDES="${WINEDLLOVERRIDES:-mscoree,mshtml=}"
quiet() { "$wine" "$@" </dev/null >/dev/null 2>&1; }
[ -f "$prefix/system.reg" ] || quiet wineboot -i
cp "$out/vmcompute.dll" "$out/bcryptprimitives.dll" "$prefix/drive_c/windows/system32/"
cp "$out/taskmem.dll" "$out/probe.exe" "$prefix/drive_c/windows/"
cp "$out/nap.so" "$prefix/"

# Windows Server 2022: hcsshim asks for HCS schema 2.1 and signals from 17763 on.
# Each program looks through the time zones as it begins, with seven questions to the wineserver for each: a third of what
# it costs to start one. Here there is one, which machines are in by the variable TZ.
cat >"$out/version.reg" <<'END'
REGEDIT4

[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows NT\CurrentVersion]
"CurrentBuildNumber"="20348"
"CurrentBuild"="20348"
"CurrentVersion"="10.0"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000

[-HKEY_LOCAL_MACHINE\Software\Microsoft\Windows NT\CurrentVersion\Time Zones]

[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows NT\CurrentVersion\Time Zones\UTC]
"Display"="(UTC) Coordinated Universal Time"
"Dlt"="Coordinated Universal Time"
"Std"="Coordinated Universal Time"
"MUI_Display"="@tzres.dll,-22002"
"MUI_Dlt"="@tzres.dll,-22001"
"MUI_Std"="@tzres.dll,-22000"
"TZI"=hex:00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00

# What nothing here asks for, and each machine would start: a process each, and drivers of devices. And two thirds of the
# registry, which each machine reads as it starts.
[HKEY_LOCAL_MACHINE\System\CurrentControlSet\Services\Eventlog]
"Start"=dword:00000004

[HKEY_LOCAL_MACHINE\System\CurrentControlSet\Services\MountMgr]
"Start"=dword:00000004

[HKEY_LOCAL_MACHINE\System\CurrentControlSet\Services\NDIS]
"Start"=dword:00000004

[HKEY_LOCAL_MACHINE\System\CurrentControlSet\Services\nsiproxy]
"Start"=dword:00000004

[HKEY_LOCAL_MACHINE\System\CurrentControlSet\Services\PlugPlay]
"Start"=dword:00000004

[-HKEY_LOCAL_MACHINE\System\CurrentControlSet\Enum\ROOT\WINE]

[-HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\RunServices]

[-HKEY_LOCAL_MACHINE\Software\Classes\CLSID]

[-HKEY_LOCAL_MACHINE\Software\Classes\Interface]
END
quiet regedit /S "$out/version.reg"
# Else each start would install these devices again.
rm -f "$prefix"/drive_c/windows/inf/winebus.* "$prefix"/drive_c/windows/inf/wineusb.*
"$wine" cmd /c ver </dev/null 2>/dev/null | tr -d '\r' | grep -q '10.0.20348' || {
	echo "Wine does not say that it is Windows 10.0.20348" >&2
	exit 1
}
echo "ready: WINEPREFIX=$prefix"
