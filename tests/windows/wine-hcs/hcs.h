/*
 * What the parts of vmcompute.dll share.
 *
 * A "compute system" is a set of named kernel objects that every client
 * process shares; a "container process" is an ordinary Wine process that is a
 * member of the system's job object:
 *
 *   section  wine-hcs.sys.<id>.<gen>   struct shared: state, process table
 *   mutex    wine-hcs.lock.<id>.<gen>  guards the section
 *   event    wine-hcs.exit.<id>.<gen>  set once, when the system has exited
 *   job      wine-hcs.job.<id>.<gen>   the container's processes
 *
 * The objects live exactly as long as some process holds an HCS handle, so a
 * system vanishes when its last handle is closed; the job carries
 * KILL_ON_JOB_CLOSE, so its processes die with it.  That is what HCS does for
 * a document with ShouldTerminateOnLastHandleClosed, which is the only sort
 * that hcsshim makes.  <gen> lets an id be used again while some process still
 * has a handle to an exited system of that id.
 *
 * Nothing here decides anything from files.  A JSON mirror of each system is
 * written below %WINE_HCS_DIR% (default C:\wine-hcs) for tests to read.  The
 * environment variables that steer the emulation are in README.md; each is
 * read at each call, in the process that makes the call.
 */
#ifndef WINE_HCS_H
#define WINE_HCS_H

#define UNICODE
#define _UNICODE
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0A00
#include <windows.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define EXPORT __declspec(dllexport)
#define UNUSED __attribute__((unused))

/* ---- results -------------------------------------------------------------
 * hcsshim takes the whole result register for the error number, so results
 * are returned as 64-bit values with a zero upper half. */
typedef unsigned long long HR;

#define HR_OK                 0ull
#define HR_PENDING            0xC0370103ull
#define HR_INVALID_STATE      0xC0370105ull
#define HR_INVALID_JSON       0xC037010Dull
#define HR_NOT_EXIST          0xC037010Eull
#define HR_ALREADY_EXISTS     0xC037010Full
#define HR_ALREADY_STOPPED    0xC0370110ull
#define HR_PROC_STOPPED       0x8037011Full
#define HR_WIN32(e)           (0x80070000ull | ((e) & 0xffff))

/* Exit codes of processes that HCS ends (see README). */
#define EXIT_SIGNALLED        0xC000013Au   /* STATUS_CONTROL_C_EXIT */
#define EXIT_KILLED           0xFFFFFFFFu   /* HcsTerminateProcess */
#define EXIT_SYSTEM_ENDED     1067u         /* ERROR_PROCESS_ABORTED */

/* ---- systems and processes ----------------------------------------------- */

enum state { ST_NONE, ST_CREATED, ST_RUNNING, ST_PAUSED, ST_EXITED };

#define MAX_PROCS 128
#define MAX_PIDS  1024
#define ID_MAX    256

/* One process that was started in a system; it stays in the table when ended. */
struct sproc {
    DWORD pid, exited, code;
    DWORD cols, rows;
    DWORD console;                 /* EmulateConsole */
    int   on_signal;               /* 0 default, 1 ignore, 2 exit with on_code */
    DWORD on_code;
    DWORD nsignals;
    char  last_signal[24];
    WCHAR cmd[200];
};

struct shared {
    LONG  state;                   /* enum state */
    DWORD nprocs;
    WCHAR id[ID_MAX], owner[64], host[64];
    struct sproc procs[MAX_PROCS];
};

struct callback;

/* A process's view of a system: what HCS_SYSTEM is a handle to. */
struct sys {
    LONG   refs;
    HANDLE section, lock, exit_ev, job;
    struct shared *sh;
    CRITICAL_SECTION cs;           /* guards cb and posted */
    struct callback *cb;
    DWORD  posted;                 /* completions waiting for a callback */
};

/* What HCS_PROCESS is a handle to. */
struct proc {
    struct sys *s;
    DWORD  pid;
    HANDLE h;
};

enum notification { N_EXITED = 1, N_CREATED, N_STARTED, N_PAUSED, N_RESUMED };

/* system.c */
void sys_lock(struct sys *s);
void sys_unlock(struct sys *s);
void sys_unref(struct sys *s);
void mirror(struct sys *s);        /* lock held */
/* process.c */
DWORD proc_ended(struct proc *p);  /* records the end, returns the exit code; takes the lock */
/* launch.c: starts a process, its ends of the stdio pipes in ours; lock held */
HR launch(struct sys *s, const WCHAR *params, struct sproc *sp, HANDLE ours[3], HANDLE *process);
/* notify.c */
void sys_post(struct sys *s, enum notification what);
void sys_end_said(struct sys *s);

/* ---- text.c: environment, log, strings ----------------------------------- */

void *alloc(size_t n);             /* zeroed; ends the process when there is no memory */
DWORD env_str(const WCHAR *name, WCHAR *buf, DWORD n);
void encode(const WCHAR *id, WCHAR *out, size_t n);
void root_dir(WCHAR *buf, DWORD n);
void log_line(const char *fmt, ...) __attribute__((format(gnu_printf, 1, 2)));
HR enter(const char *name, const WCHAR *arg, HANDLE end);
WCHAR *co_dup(const WCHAR *s);     /* for the caller to CoTaskMemFree */

/* First thing in each exported call: log, delay, injected failure. */
#define ENTER(arg) ENTER_UNTIL((arg), NULL)

/* The same, of a call that a system's end cuts short: its delay ends with that event. */
#define ENTER_UNTIL(arg, end)                     \
    do {                                          \
        HR hr_ = enter(__func__, (arg), (end));   \
        if (hr_) return hr_;                      \
    } while (0)

/* A growing wide string; starts zeroed, p is for free(). */
struct str {
    WCHAR *p;
    size_t n, cap;
};
void str_add(struct str *s, const WCHAR *fmt, ...);
void str_json(struct str *s, const WCHAR *v);
BOOL str_write(const struct str *s, const WCHAR *path);   /* as UTF-8 */

/* ---- json.c: a reader, as much as HCS documents need ---------------------- */

WCHAR *js_string(const WCHAR *p);  /* decoded copy for free(), or NULL */
BOOL js_next(const WCHAR **it, WCHAR **key, const WCHAR **val);
const WCHAR *js_get(const WCHAR *obj, const WCHAR *name);
BOOL js_true(const WCHAR *v);
long js_int(const WCHAR *v);

#endif
