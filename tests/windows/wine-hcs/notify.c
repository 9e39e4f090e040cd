/* The callbacks through which HCS says that something was done or has ended. */
#include "hcs.h"

typedef void(CALLBACK *notify_fn)(DWORD type, void *ctx, ULONG_PTR status, const WCHAR *data);

struct callback {
    struct sys  *s;                /* one of s, p is set */
    struct proc *p;
    notify_fn    fn;
    void        *ctx;
    HANDLE       stop, post, thread;
    HANDLE       said;             /* set when the system's end has been said */
};

#define N_PROCESS_EXITED 0x00010000

/* Queues a completion for the system's callback on this handle. */
void sys_post(struct sys *s, enum notification what)
{
    EnterCriticalSection(&s->cs);
    s->posted |= 1u << what;
    if (s->cb) SetEvent(s->cb->post);
    LeaveCriticalSection(&s->cs);
}

/*
 * Waits until the system's end has been said to this process.  A caller that
 * only waits for that with nothing else to do, as "delete --force" is, would
 * be ended by Go's runtime ("all goroutines are asleep"), which does not know
 * that a thread of ours is about to call it.
 */
void sys_end_said(struct sys *s)
{
    HANDLE said = NULL;

    EnterCriticalSection(&s->cs);
    if (s->cb) DuplicateHandle(GetCurrentProcess(), s->cb->said, GetCurrentProcess(), &said, SYNCHRONIZE, FALSE, 0);
    LeaveCriticalSection(&s->cs);
    if (!said) return;
    WaitForSingleObject(said, INFINITE);
    CloseHandle(said);
}

static DWORD CALLBACK sys_watch(void *arg)
{
    struct callback *cb = arg;
    struct sys *s = cb->s;
    HANDLE h[3] = { cb->stop, cb->post, s->exit_ev };
    DWORD n = 3, todo;
    int i;

    for (;;) {
        switch (WaitForMultipleObjects(n, h, FALSE, INFINITE)) {
        case WAIT_OBJECT_0:
            SetEvent(cb->said);                    /* never will be */
            return 0;
        case WAIT_OBJECT_0 + 1:
            EnterCriticalSection(&s->cs);
            todo = s->posted;
            s->posted = 0;
            LeaveCriticalSection(&s->cs);
            for (i = N_EXITED; i <= N_RESUMED; i++)
                if (todo & (1u << i)) cb->fn(i, cb->ctx, 0, NULL);
            break;
        case WAIT_OBJECT_0 + 2:
            n = 2;                                 /* said once */
            log_line("notify SystemExited %ls", s->sh->id);
            cb->fn(N_EXITED, cb->ctx, 0, NULL);
            SetEvent(cb->said);
            break;
        default:
            SetEvent(cb->said);
            return 1;
        }
    }
}

static DWORD CALLBACK proc_watch(void *arg)
{
    struct callback *cb = arg;
    HANDLE h[2] = { cb->stop, cb->p->h };

    if (WaitForMultipleObjects(2, h, FALSE, INFINITE) == WAIT_OBJECT_0 + 1) {
        DWORD code = proc_ended(cb->p);
        log_line("notify ProcessExited %lu code %lu", cb->p->pid, code);
        cb->fn(N_PROCESS_EXITED, cb->ctx, 0, NULL);
    }
    return 0;
}

static struct callback *cb_new(notify_fn fn, void *ctx)
{
    struct callback *cb = alloc(sizeof *cb);

    cb->fn = fn;
    cb->ctx = ctx;
    cb->stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    cb->post = CreateEventW(NULL, FALSE, FALSE, NULL);
    cb->said = CreateEventW(NULL, TRUE, FALSE, NULL);
    return cb;
}

static HR cb_start(struct callback *cb, LPTHREAD_START_ROUTINE run, struct callback **out)
{
    cb->thread = CreateThread(NULL, 0, run, cb, 0, NULL);
    *out = cb;
    return cb->thread ? HR_OK : HR_WIN32(GetLastError());
}

static void cb_stop(struct callback *cb)
{
    SetEvent(cb->stop);
    WaitForSingleObject(cb->thread, 5000);
    CloseHandle(cb->thread);
    CloseHandle(cb->stop);
    CloseHandle(cb->post);
    CloseHandle(cb->said);
    free(cb);
}

EXPORT HR HcsRegisterComputeSystemCallback(struct sys *s, notify_fn fn, void *ctx, struct callback **out)
{
    struct callback *cb;
    HR hr;

    ENTER(s->sh->id);
    cb = cb_new(fn, ctx);
    cb->s = s;
    hr = cb_start(cb, sys_watch, out);
    EnterCriticalSection(&s->cs);
    s->cb = cb;
    if (s->posted) SetEvent(cb->post);
    LeaveCriticalSection(&s->cs);
    return hr;
}

EXPORT HR HcsUnregisterComputeSystemCallback(struct callback *cb)
{
    ENTER(cb->s->sh->id);
    EnterCriticalSection(&cb->s->cs);
    if (cb->s->cb == cb) cb->s->cb = NULL;
    LeaveCriticalSection(&cb->s->cs);
    cb_stop(cb);
    return HR_OK;
}

EXPORT HR HcsRegisterProcessCallback(struct proc *p, notify_fn fn, void *ctx, struct callback **out)
{
    struct callback *cb;

    ENTER(p->s->sh->id);
    cb = cb_new(fn, ctx);
    cb->p = p;
    return cb_start(cb, proc_watch, out);
}

EXPORT HR HcsUnregisterProcessCallback(struct callback *cb)
{
    ENTER(cb->p->s->sh->id);
    cb_stop(cb);
    return HR_OK;
}
