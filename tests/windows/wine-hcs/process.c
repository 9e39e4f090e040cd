/* Processes in a compute system. */
#include "hcs.h"

static struct sproc *sproc_find(struct sys *s, DWORD pid)
{
    DWORD i;

    for (i = s->sh->nprocs; i--; )
        if (s->sh->procs[i].pid == pid) return &s->sh->procs[i];
    return NULL;
}

static void sproc_add(struct sys *s, const struct sproc *sp)
{
    struct shared *sh = s->sh;
    int i;

    if (sh->nprocs == MAX_PROCS) {   /* forget the oldest that has ended, never the first */
        for (i = 1; i < MAX_PROCS - 1 && !sh->procs[i].exited; i++) ;
        memmove(&sh->procs[i], &sh->procs[i + 1], (MAX_PROCS - 1 - i) * sizeof *sp);
        sh->nprocs--;
    }
    sh->procs[sh->nprocs++] = *sp;
    mirror(s);
}

DWORD proc_ended(struct proc *p)
{
    DWORD code = 0;
    struct sproc *sp;

    GetExitCodeProcess(p->h, &code);
    sys_lock(p->s);
    sp = sproc_find(p->s, p->pid);
    if (sp && !sp->exited) {
        sp->exited = 1;
        sp->code = code;
        mirror(p->s);
    }
    sys_unlock(p->s);
    return code;
}

static struct proc *proc_new(struct sys *s, DWORD pid, HANDLE h)
{
    struct proc *p = alloc(sizeof *p);

    p->s = s;
    InterlockedIncrement(&s->refs);
    p->pid = pid;
    p->h = h;
    return p;
}

struct process_info { DWORD pid, pad; HANDLE in, out, err; };

static BOOL sproc_read(const WCHAR *params, struct sproc *sp)
{
    WCHAR *cmd = js_string(js_get(params, L"CommandLine"));
    const WCHAR *size = js_get(params, L"ConsoleSize");

    if (!cmd) return FALSE;
    wcsncpy(sp->cmd, cmd, 199);
    free(cmd);
    sp->console = js_true(js_get(params, L"EmulateConsole"));
    if (size && *size == '[') {   /* height, width */
        sp->rows = js_int(size + 1);
        if ((size = wcschr(size, ','))) sp->cols = js_int(size + 1);
    }
    return TRUE;
}

EXPORT HR HcsCreateProcess(struct sys *s, const WCHAR *params, struct process_info *info, struct proc **out,
                           WCHAR **result)
{
    struct sproc sp = { 0 };
    HANDLE ours[3] = { 0 }, h;
    HR hr;

    if (result) *result = NULL;
    memset(info, 0, sizeof *info);
    *out = NULL;
    ENTER(params);
    if (!sproc_read(params, &sp)) return HR_INVALID_JSON;

    sys_lock(s);
    if (s->sh->state == ST_EXITED) hr = HR_ALREADY_STOPPED;
    else if (s->sh->state != ST_RUNNING) hr = HR_INVALID_STATE;
    else hr = launch(s, params, &sp, ours, &h);
    if (!hr) sproc_add(s, &sp);
    sys_unlock(s);

    if (hr) {
        log_line("HcsCreateProcess -> %08llx", hr);
        return hr;
    }
    *out = proc_new(s, sp.pid, h);
    info->pid = sp.pid;
    info->in = ours[0];
    info->out = ours[1];
    info->err = ours[2];
    log_line("HcsCreateProcess -> pid %lu", sp.pid);
    return HR_OK;
}

EXPORT HR HcsOpenProcess(struct sys *s, DWORD pid, struct proc **out, WCHAR **result)
{
    struct sproc *sp;
    HANDLE h = NULL;
    HR hr = HR_OK;

    if (result) *result = NULL;
    *out = NULL;
    ENTER(s->sh->id);
    sys_lock(s);
    sp = sproc_find(s, pid);
    if (s->sh->state == ST_EXITED) hr = HR_ALREADY_STOPPED;
    else if (!sp || sp->exited || !(h = OpenProcess(PROCESS_ALL_ACCESS, FALSE, pid))) hr = HR_WIN32(ERROR_NOT_FOUND);
    sys_unlock(s);
    if (!hr) *out = proc_new(s, pid, h);
    return hr;
}

EXPORT HR HcsCloseProcess(struct proc *p)
{
    ENTER(p->s->sh->id);
    CloseHandle(p->h);
    sys_unref(p->s);
    free(p);
    return HR_OK;
}

EXPORT HR HcsTerminateProcess(struct proc *p, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(p->s->sh->id);
    if (WaitForSingleObject(p->h, 0) == WAIT_OBJECT_0) return HR_PROC_STOPPED;
    if (!TerminateProcess(p->h, EXIT_KILLED)) return HR_WIN32(GetLastError());
    return HR_OK;
}

/* runhcs kill ID KILL arrives here, with the document "null". */
EXPORT HR HcsSignalProcess(struct proc *p, const WCHAR *options, WCHAR **result)
{
    struct sproc *sp;
    WCHAR *sig, mode[16];
    int how = 0;
    DWORD code = EXIT_SIGNALLED;

    if (result) *result = NULL;
    ENTER(options);
    if (WaitForSingleObject(p->h, 0) == WAIT_OBJECT_0) return HR_WIN32(ERROR_NOT_FOUND);
    sig = js_string(js_get(options, L"Signal"));
    if (!sig && env_str(L"WINE_HCS_NULL_SIGNAL", mode, 16) && !wcscmp(mode, L"invalid")) return HR_INVALID_JSON;
    sys_lock(p->s);
    if ((sp = sproc_find(p->s, p->pid))) {
        sp->nsignals++;
        snprintf(sp->last_signal, sizeof sp->last_signal, "%ls", sig ? sig : L"null");
        if (sig) how = sp->on_signal;
        if (!sig) code = EXIT_KILLED;
        else if (how == 2) code = sp->on_code;
        mirror(p->s);
    }
    sys_unlock(p->s);
    free(sig);
    if (how != 1 && !TerminateProcess(p->h, code)) return HR_WIN32(GetLastError());
    return HR_OK;
}

EXPORT HR HcsGetProcessInfo(struct proc *p, struct process_info *info, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(p->s->sh->id);
    memset(info, 0, sizeof *info);
    info->pid = p->pid;
    return HR_OK;
}

EXPORT HR HcsGetProcessProperties(struct proc *p, WCHAR **props, WCHAR **result)
{
    WCHAR buf[200];
    DWORD code = 0;
    BOOL exited;

    if (result) *result = NULL;
    ENTER(p->s->sh->id);
    if ((exited = WaitForSingleObject(p->h, 0) == WAIT_OBJECT_0)) code = proc_ended(p);
    swprintf(buf, 200, L"{\"ProcessId\":%lu,\"Exited\":%ls,\"ExitCode\":%lu,\"LastWaitResult\":0}",
             p->pid, exited ? L"true" : L"false", code);
    *props = co_dup(buf);
    return HR_OK;
}

EXPORT HR HcsModifyProcess(struct proc *p, const WCHAR *settings, WCHAR **result)
{
    const WCHAR *size;
    struct sproc *sp;

    if (result) *result = NULL;
    ENTER(settings);
    if ((size = js_get(settings, L"ConsoleSize"))) {
        sys_lock(p->s);
        if ((sp = sproc_find(p->s, p->pid))) {
            sp->cols = js_int(js_get(size, L"Width"));
            sp->rows = js_int(js_get(size, L"Height"));
            mirror(p->s);
        }
        sys_unlock(p->s);
    }
    /* CloseHandle StdIn: the client closes its end of the pipe itself. */
    return HR_OK;
}
