/* Starting a container's process: its environment, its stdio, its place in the job. */
#include "hcs.h"

/*
 * Makes one stdio channel.  *ours is an overlapped named pipe end for hcsshim
 * (go-winio puts it on a completion port); *theirs is the inheritable end for
 * the process.
 */
static BOOL make_pipe(BOOL input, HANDLE *ours, HANDLE *theirs)
{
    static LONG serial;
    SECURITY_ATTRIBUTES sa = { sizeof sa, NULL, TRUE };
    WCHAR name[80];

    swprintf(name, 80, L"\\\\.\\pipe\\wine-hcs.%lx.%lx.%lx", GetCurrentProcessId(),
             InterlockedIncrement(&serial), GetTickCount());
    *ours = CreateNamedPipeW(name, (input ? PIPE_ACCESS_OUTBOUND : PIPE_ACCESS_INBOUND) |
                             FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                             PIPE_TYPE_BYTE | PIPE_WAIT, 1, 65536, 65536, 0, NULL);
    if (*ours == INVALID_HANDLE_VALUE) {
        *ours = NULL;
        return FALSE;
    }
    *theirs = CreateFileW(name, (input ? GENERIC_READ : GENERIC_WRITE) | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES,
                          0, &sa, OPEN_EXISTING, 0, NULL);
    if (*theirs == INVALID_HANDLE_VALUE) {
        CloseHandle(*ours);
        *ours = *theirs = NULL;
        return FALSE;
    }
    return TRUE;
}

static HANDLE open_nul(void)
{
    SECURITY_ATTRIBUTES sa = { sizeof sa, NULL, TRUE };
    return CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &sa,
                       OPEN_EXISTING, 0, NULL);
}

static HR make_stdio(const WCHAR *params, BOOL console, HANDLE ours[3], HANDLE theirs[3])
{
    static const WCHAR *flag[3] = { L"CreateStdInPipe", L"CreateStdOutPipe", L"CreateStdErrPipe" };
    HR hr = HR_OK;
    int i;

    for (i = 0; i < 3; i++) {
        if (!js_true(js_get(params, flag[i]))) theirs[i] = open_nul();
        else if (!make_pipe(i == 0, &ours[i], &theirs[i])) hr = HR_WIN32(GetLastError());
    }
    if (console && theirs[1]) {   /* a console has one output; stderr's pipe is at its end at once */
        CloseHandle(theirs[2]);
        theirs[2] = theirs[1];
    }
    return hr;
}

/* Variables of ours that a container process starts with: the machine's, not the caller's. */
static BOOL env_keep(const WCHAR *v)
{
    static const WCHAR *keep[] = { L"ALLUSERSPROFILE", L"APPDATA", L"COMMONPROGRAM", L"COMSPEC", L"DRIVERDATA",
        L"LOCALAPPDATA", L"NUMBER_OF_PROCESSORS", L"OS=", L"PATH=", L"PATHEXT", L"PROCESSOR_", L"PROGRAM",
        L"PUBLIC", L"SYSTEMDRIVE", L"SYSTEMROOT", L"TEMP=", L"TMP=", L"USERDOMAIN", L"USERNAME", L"USERPROFILE",
        L"WINDIR", L"WINE" };
    size_t i;

    for (i = 0; i < sizeof keep / sizeof *keep; i++)
        if (!_wcsnicmp(v, keep[i], wcslen(keep[i]))) return TRUE;
    return FALSE;
}

/* By name, letter case aside, as Windows sorts an environment block. */
static int env_cmp(const void *a, const void *b)
{
    const WCHAR *x = *(WCHAR *const *)a, *y = *(WCHAR *const *)b;

    for (;; x++, y++) {
        WCHAR p = *x == '=' ? 0 : towupper(*x), q = *y == '=' ? 0 : towupper(*y);
        if (p != q) return p < q ? -1 : 1;
        if (!p) return 0;
    }
}

#define MAX_VARS 1024

struct vars {
    WCHAR *v[MAX_VARS];
    size_t n;
};

/* Adds "key=value", in the place of an earlier one of that key. */
static void env_set(struct vars *e, const WCHAR *key, const WCHAR *value)
{
    size_t len = wcslen(key) + wcslen(value) + 2, i;
    WCHAR *kv = alloc(len * sizeof(WCHAR));

    swprintf(kv, len, L"%ls=%ls", key, value);
    for (i = 0; i < e->n && env_cmp(&e->v[i], &kv); i++) ;
    if (i < e->n) free(e->v[i]);
    else if (e->n < MAX_VARS) e->n++;
    else {
        free(kv);
        return;
    }
    e->v[i] = kv;
}

static WCHAR *env_block(struct sys *s, const WCHAR *obj, struct sproc *sp)
{
    struct vars e = { .n = 0 };
    WCHAR *block, *o, *ours = GetEnvironmentStringsW(), *p, *key;
    const WCHAR *json;
    size_t i, total = 2;

    for (p = ours; *p; p += wcslen(p) + 1)
        if (e.n < MAX_VARS && env_keep(p)) e.v[e.n++] = wcsdup(p);
    FreeEnvironmentStringsW(ours);
    if (s->sh->host[0]) env_set(&e, L"COMPUTERNAME", s->sh->host);
    while (obj && js_next(&obj, &key, &json)) {
        WCHAR *value = js_string(json);
        if (value) env_set(&e, key, value);
        if (value && !wcscmp(key, L"WINE_HCS_ON_SIGNAL")) {
            sp->on_signal = wcscmp(value, L"ignore") ? 2 : 1;
            sp->on_code = wcstoul(value, NULL, 0);
        }
        free(value);
        free(key);
    }
    qsort(e.v, e.n, sizeof *e.v, env_cmp);
    for (i = 0; i < e.n; i++) total += wcslen(e.v[i]) + 1;
    o = block = alloc(total * sizeof(WCHAR));
    for (i = 0; i < e.n; i++) {
        wcscpy(o, e.v[i]);
        o += wcslen(o) + 1;
        free(e.v[i]);
    }
    return block;
}

/* Makes the process, suspended, with its three ends and nothing else that is inheritable in the caller. */
static HR create_process(WCHAR *cmd, const WCHAR *cwd, WCHAR *env, HANDLE theirs[3], BOOL console,
                         PROCESS_INFORMATION *pi)
{
    STARTUPINFOEXW si;
    SIZE_T len = 0;
    HR hr = HR_OK;

    memset(&si, 0, sizeof si);
    InitializeProcThreadAttributeList(NULL, 1, 0, &len);
    si.lpAttributeList = alloc(len);
    InitializeProcThreadAttributeList(si.lpAttributeList, 1, 0, &len);
    UpdateProcThreadAttribute(si.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, theirs,
                              (console ? 2 : 3) * sizeof(HANDLE), NULL, NULL);
    si.StartupInfo.cb = sizeof si;
    si.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    si.StartupInfo.hStdInput = theirs[0];
    si.StartupInfo.hStdOutput = theirs[1];
    si.StartupInfo.hStdError = theirs[2];
    if (!CreateProcessW(NULL, cmd, NULL, NULL, TRUE, CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT |
                        CREATE_NEW_PROCESS_GROUP | DETACHED_PROCESS | EXTENDED_STARTUPINFO_PRESENT,
                        env, cwd && *cwd ? cwd : L"C:\\", &si.StartupInfo, pi))
        hr = HR_WIN32(GetLastError());
    DeleteProcThreadAttributeList(si.lpAttributeList);
    free(si.lpAttributeList);
    return hr;
}

static HR enter_job(struct sys *s, PROCESS_INFORMATION *pi)
{
    HR hr = HR_OK;

    if (AssignProcessToJobObject(s->job, pi->hProcess)) ResumeThread(pi->hThread);
    else {
        hr = HR_WIN32(GetLastError());
        TerminateProcess(pi->hProcess, EXIT_KILLED);
        CloseHandle(pi->hProcess);
    }
    CloseHandle(pi->hThread);
    return hr;
}

HR launch(struct sys *s, const WCHAR *params, struct sproc *sp, HANDLE ours[3], HANDLE *process)
{
    PROCESS_INFORMATION pi;
    HANDLE theirs[3] = { 0 };
    WCHAR *cmd = js_string(js_get(params, L"CommandLine"));
    WCHAR *cwd = js_string(js_get(params, L"WorkingDirectory"));
    WCHAR *env = env_block(s, js_get(params, L"Environment"), sp);
    int i;
    HR hr = make_stdio(params, sp->console, ours, theirs);

    if (!hr) hr = create_process(cmd, cwd, env, theirs, sp->console, &pi);
    if (!hr) hr = enter_job(s, &pi);
    if (!hr) {
        sp->pid = pi.dwProcessId;
        *process = pi.hProcess;
    }
    if (sp->console) theirs[2] = NULL;
    for (i = 0; i < 3; i++)
        if (theirs[i]) CloseHandle(theirs[i]);
    if (hr)
        for (i = 0; i < 3; i++)
            if (ours[i]) CloseHandle(ours[i]);
    free(cmd);
    free(cwd);
    free(env);
    return hr;
}
