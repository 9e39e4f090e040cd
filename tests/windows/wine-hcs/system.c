/* Compute systems: making, finding, changing and describing them. */
#include "hcs.h"

#define MAX_GEN 16

static const WCHAR *state_name(LONG st)
{
    switch (st) {
    case ST_CREATED: return L"Created";
    case ST_RUNNING: return L"Running";
    case ST_PAUSED:  return L"Paused";
    default:         return L"Stopped";
    }
}

void sys_lock(struct sys *s)
{
    WaitForSingleObject(s->lock, INFINITE);
}

void sys_unlock(struct sys *s)
{
    ReleaseMutex(s->lock);
}

static void mirror_text(struct sys *s, struct str *o)
{
    struct shared *sh = s->sh;
    DWORD i;

    str_add(o, L"{\"Id\":");
    str_json(o, sh->id);
    str_add(o, L",\"Owner\":");
    str_json(o, sh->owner);
    str_add(o, L",\"State\":\"%ls\",\"Processes\":[", state_name(sh->state));
    for (i = 0; i < sh->nprocs; i++) {
        struct sproc *p = &sh->procs[i];
        str_add(o, L"%ls{\"ProcessId\":%lu,\"CommandLine\":", i ? L"," : L"", p->pid);
        str_json(o, p->cmd);
        str_add(o, L",\"EmulateConsole\":%ls,\"Exited\":%ls,\"ExitCode\":%lu,"
                   L"\"ConsoleSize\":{\"Width\":%lu,\"Height\":%lu},\"Signals\":%lu,\"LastSignal\":\"%hs\"}",
                p->console ? L"true" : L"false", p->exited ? L"true" : L"false", p->code,
                p->cols, p->rows, p->nsignals, p->last_signal);
    }
    str_add(o, L"]}\n");
}

/* Writes the JSON mirror of a system.  Readers see the old text or the new. */
void mirror(struct sys *s)
{
    WCHAR dir[MAX_PATH], enc[ID_MAX], path[MAX_PATH * 2], tmp[MAX_PATH * 2];
    struct str o = { 0 };

    mirror_text(s, &o);
    root_dir(dir, MAX_PATH);
    encode(s->sh->id, enc, ID_MAX);
    swprintf(path, MAX_PATH * 2, L"%ls\\%ls.json", dir, enc);
    swprintf(tmp, MAX_PATH * 2, L"%ls\\%ls.tmp", dir, enc);
    if (str_write(&o, tmp)) MoveFileExW(tmp, path, MOVEFILE_REPLACE_EXISTING);
    free(o.p);
}

void sys_unref(struct sys *s)
{
    if (InterlockedDecrement(&s->refs)) return;
    UnmapViewOfFile(s->sh);
    CloseHandle(s->section);
    CloseHandle(s->lock);
    CloseHandle(s->exit_ev);
    CloseHandle(s->job);           /* the last one kills what is left in it */
    DeleteCriticalSection(&s->cs);
    free(s);
}

/*
 * Opens (or, with create, makes) generation gen of a system.  The mutex is
 * taken before the section is looked at, so that a creator has filled it in.
 */
static struct sys *sys_gen(const WCHAR *id, int gen, BOOL create, BOOL *existed)
{
    WCHAR enc[ID_MAX], name[ID_MAX + 40];
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION lim;
    struct sys *s = alloc(sizeof *s);
    BOOL fresh;

    encode(id, enc, ID_MAX);
    s->refs = 1;
    *existed = FALSE;
    swprintf(name, ID_MAX + 40, L"wine-hcs.sys.%ls.%d", enc, gen);
    if (create)
        s->section = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, sizeof(struct shared), name);
    else
        s->section = OpenFileMappingW(FILE_MAP_ALL_ACCESS, FALSE, name);
    fresh = create && GetLastError() != ERROR_ALREADY_EXISTS;
    if (!s->section) {
        free(s);
        return NULL;
    }
    *existed = !fresh;
    s->sh = MapViewOfFile(s->section, FILE_MAP_ALL_ACCESS, 0, 0, 0);
    swprintf(name, ID_MAX + 40, L"wine-hcs.lock.%ls.%d", enc, gen);
    s->lock = CreateMutexW(NULL, FALSE, name);
    swprintf(name, ID_MAX + 40, L"wine-hcs.exit.%ls.%d", enc, gen);
    s->exit_ev = CreateEventW(NULL, TRUE, FALSE, name);
    swprintf(name, ID_MAX + 40, L"wine-hcs.job.%ls.%d", enc, gen);
    s->job = CreateJobObjectW(NULL, name);
    if (fresh) {
        memset(&lim, 0, sizeof lim);
        lim.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        SetInformationJobObject(s->job, JobObjectExtendedLimitInformation, &lim, sizeof lim);
    }
    InitializeCriticalSection(&s->cs);
    return s;
}

/* The live system of this id, or NULL. */
static struct sys *sys_find(const WCHAR *id)
{
    int g;
    BOOL existed;

    for (g = 0; g < MAX_GEN; g++) {
        struct sys *s = sys_gen(id, g, FALSE, &existed);
        if (!s) continue;
        if (s->sh->state && s->sh->state != ST_EXITED) return s;
        sys_unref(s);
    }
    return NULL;
}

/* Ends every process and marks the system exited.  Lock held. */
static void sys_end(struct sys *s)
{
    DWORD i;

    if (s->sh->state == ST_EXITED) return;
    TerminateJobObject(s->job, EXIT_SYSTEM_ENDED);
    for (i = 0; i < s->sh->nprocs; i++) {
        struct sproc *p = &s->sh->procs[i];
        if (!p->exited) {
            p->exited = 1;
            p->code = EXIT_SYSTEM_ENDED;
        }
    }
    s->sh->state = ST_EXITED;
    mirror(s);
    SetEvent(s->exit_ev);
}

static void take(WCHAR field[64], const WCHAR *json)
{
    WCHAR *v = js_string(json);
    if (!v) return;
    wcsncpy(field, v, 63);
    free(v);
}

EXPORT HR HcsCreateComputeSystem(const WCHAR *id, const WCHAR *doc, UNUSED HANDLE identity, struct sys **out,
                                 WCHAR **result)
{
    const WCHAR *c;
    struct sys *s;
    int g;
    BOOL existed;

    if (result) *result = NULL;
    *out = NULL;
    ENTER(id);
    if (!wcschr(doc, '{')) return HR_INVALID_JSON;
    if ((s = sys_find(id))) {
        sys_unref(s);
        return HR_ALREADY_EXISTS;
    }
    for (g = 0, s = NULL; g < MAX_GEN; g++) {
        if (!(s = sys_gen(id, g, TRUE, &existed))) return HR_WIN32(GetLastError());
        if (!existed) break;
        sys_unref(s);
        s = NULL;
    }
    if (!s) return HR_ALREADY_EXISTS;
    sys_lock(s);
    wcsncpy(s->sh->id, id, ID_MAX - 1);
    c = js_get(doc, L"Container");
    take(s->sh->owner, js_get(doc, L"Owner"));
    take(s->sh->host, c ? js_get(js_get(c, L"GuestOs"), L"HostName") : js_get(doc, L"HostName"));
    s->sh->state = ST_CREATED;
    mirror(s);
    sys_unlock(s);
    *out = s;
    sys_post(s, N_CREATED);
    return HR_PENDING;
}

EXPORT HR HcsOpenComputeSystem(const WCHAR *id, struct sys **out, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(id);
    *out = sys_find(id);
    return *out ? HR_OK : HR_NOT_EXIST;
}

EXPORT HR HcsCloseComputeSystem(struct sys *s)
{
    ENTER(s->sh->id);
    sys_unref(s);
    return HR_OK;
}

EXPORT HR HcsStartComputeSystem(struct sys *s, UNUSED const WCHAR *opt, WCHAR **result)
{
    HR hr = HR_PENDING;

    if (result) *result = NULL;
    ENTER(s->sh->id);
    sys_lock(s);
    if (s->sh->state == ST_EXITED) hr = HR_ALREADY_STOPPED;
    else if (s->sh->state != ST_CREATED) hr = HR_INVALID_STATE;
    else {
        s->sh->state = ST_RUNNING;
        mirror(s);
    }
    sys_unlock(s);
    if (hr == HR_PENDING) sys_post(s, N_STARTED);
    return hr;
}

static HR sys_stop(struct sys *s, BOOL graceful)
{
    HR hr = HR_PENDING;

    sys_lock(s);
    if (s->sh->state == ST_EXITED) hr = HR_ALREADY_STOPPED;
    else if (graceful && s->sh->state != ST_RUNNING) hr = HR_INVALID_STATE;
    else sys_end(s);
    sys_unlock(s);
    if (hr == HR_PENDING) sys_end_said(s);
    return hr;
}

/* A shutdown can take minutes; it is over at once when the system is terminated meanwhile. */
EXPORT HR HcsShutdownComputeSystem(struct sys *s, UNUSED const WCHAR *opt, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER_UNTIL(s->sh->id, s->exit_ev);
    return sys_stop(s, TRUE);
}

EXPORT HR HcsTerminateComputeSystem(struct sys *s, UNUSED const WCHAR *opt, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(s->sh->id);
    return sys_stop(s, FALSE);
}

/* The pids of all processes in the job, descendants included. */
static DWORD job_pids(struct sys *s, DWORD pids[MAX_PIDS])
{
    DWORD i, n = 0, size = sizeof(JOBOBJECT_BASIC_PROCESS_ID_LIST) + MAX_PIDS * sizeof(ULONG_PTR);
    JOBOBJECT_BASIC_PROCESS_ID_LIST *l = alloc(size);

    if (QueryInformationJobObject(s->job, JobObjectBasicProcessIdList, l, size, NULL))
        for (i = 0; i < l->NumberOfProcessIdsInList && n < MAX_PIDS; i++) pids[n++] = (DWORD)l->ProcessIdList[i];
    free(l);
    return n;
}

typedef LONG(WINAPI *nt_process_fn)(HANDLE);

static void each_process(struct sys *s, nt_process_fn fn)
{
    DWORD pids[MAX_PIDS], n = job_pids(s, pids), i;

    for (i = 0; i < n; i++) {
        HANDLE h = OpenProcess(PROCESS_SUSPEND_RESUME, FALSE, pids[i]);
        if (!h) continue;
        fn(h);
        CloseHandle(h);
    }
}

static HR sys_freeze(struct sys *s, LONG from, LONG to, const char *fn_name, enum notification done)
{
    HR hr = HR_PENDING;
    nt_process_fn fn = (nt_process_fn)(void *)GetProcAddress(GetModuleHandleW(L"ntdll.dll"), fn_name);

    sys_lock(s);
    if (s->sh->state == ST_EXITED) hr = HR_ALREADY_STOPPED;
    else if (s->sh->state != from) hr = HR_INVALID_STATE;
    else {
        each_process(s, fn);
        s->sh->state = to;
        mirror(s);
    }
    sys_unlock(s);
    if (hr == HR_PENDING) sys_post(s, done);
    return hr;
}

EXPORT HR HcsPauseComputeSystem(struct sys *s, UNUSED const WCHAR *opt, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(s->sh->id);
    return sys_freeze(s, ST_RUNNING, ST_PAUSED, "NtSuspendProcess", N_PAUSED);
}

EXPORT HR HcsResumeComputeSystem(struct sys *s, UNUSED const WCHAR *opt, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(s->sh->id);
    return sys_freeze(s, ST_PAUSED, ST_RUNNING, "NtResumeProcess", N_RESUMED);
}

EXPORT HR HcsSaveComputeSystem(struct sys *s, UNUSED const WCHAR *opt, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(s->sh->id);
    return HR_WIN32(ERROR_NOT_SUPPORTED);
}

EXPORT HR HcsModifyComputeSystem(struct sys *s, UNUSED const WCHAR *cfg, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(s->sh->id);
    return HR_OK;
}

static void props_base(struct str *o, struct sys *s)
{
    str_add(o, L"{\"Id\":");
    str_json(o, s->sh->id);
    str_add(o, L",\"Name\":");
    str_json(o, s->sh->id);
    str_add(o, L",\"SystemType\":\"Container\",\"RuntimeOsType\":\"Windows\",\"Owner\":");
    str_json(o, s->sh->owner);
    str_add(o, L",\"State\":\"%ls\"", state_name(s->sh->state));
    if (s->sh->state == ST_EXITED) str_add(o, L",\"Stopped\":true");
}

static void props_processes(struct str *o, struct sys *s)
{
    DWORD pids[MAX_PIDS], n = job_pids(s, pids), i;

    str_add(o, L",\"ProcessList\":[");
    for (i = 0; i < n; i++) {
        WCHAR image[MAX_PATH] = L"", *base;
        DWORD len = MAX_PATH;
        HANDLE h = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pids[i]);
        if (h) {
            QueryFullProcessImageNameW(h, 0, image, &len);
            CloseHandle(h);
        }
        base = wcsrchr(image, '\\');
        str_add(o, L"%ls{\"ProcessId\":%lu,\"ImageName\":", i ? L"," : L"", pids[i]);
        str_json(o, base ? base + 1 : image);
        str_add(o, L"}");
    }
    str_add(o, L"]");
}

EXPORT HR HcsGetComputeSystemProperties(struct sys *s, const WCHAR *query, WCHAR **props, WCHAR **result)
{
    struct str o = { 0 };

    if (result) *result = NULL;
    *props = NULL;
    ENTER(s->sh->id);
    sys_lock(s);
    props_base(&o, s);
    if (query && wcsstr(query, L"\"ProcessList\"")) props_processes(&o, s);
    str_add(&o, L"}");
    sys_unlock(s);
    *props = co_dup(o.p);
    free(o.p);
    return HR_OK;
}

EXPORT HR HcsGetServiceProperties(const WCHAR *query, WCHAR **props, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(query);
    *props = co_dup(L"{\"Properties\":[{\"SupportedSchemaVersions\":[{\"Major\":1,\"Minor\":0},{\"Major\":2,\"Minor\":1}]}]}");
    return HR_OK;
}

EXPORT HR HcsModifyServiceSettings(const WCHAR *settings, WCHAR **result)
{
    if (result) *result = NULL;
    ENTER(settings);
    return HR_OK;
}
