/* Environment variables, the log, injected faults, and strings. */
#include "hcs.h"
#include <objbase.h>

void *alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p) abort();
    return p;
}

DWORD env_str(const WCHAR *name, WCHAR *buf, DWORD n)
{
    DWORD got = GetEnvironmentVariableW(name, buf, n);
    if (!got || got >= n) {
        buf[0] = 0;
        return 0;
    }
    return got;
}

static BOOL plain(WCHAR c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* id as a file and object name: letters, digits, - . _ stay, others become %XXXX */
void encode(const WCHAR *id, WCHAR *out, size_t n)
{
    size_t o = 0;
    for (; *id && o + 6 < n; id++) {
        if (plain(*id) || (*id == '.' && o))
            out[o++] = *id;
        else
            o += swprintf(out + o, n - o, L"%%%04X", *id);
    }
    out[o] = 0;
}

void root_dir(WCHAR *buf, DWORD n)
{
    if (!env_str(L"WINE_HCS_DIR", buf, n)) wcscpy(buf, L"C:\\wine-hcs");
    CreateDirectoryW(buf, NULL);
}

void log_line(const char *fmt, ...)
{
    WCHAR path[MAX_PATH];
    char line[2048];
    SYSTEMTIME t;
    va_list ap;
    int n;
    DWORD w;
    HANDLE f;

    if (!env_str(L"WINE_HCS_LOG", path, MAX_PATH)) return;
    GetSystemTime(&t);
    n = snprintf(line, sizeof line, "%02d:%02d:%02d.%03d %lu ", t.wHour, t.wMinute, t.wSecond,
                 t.wMilliseconds, GetCurrentProcessId());
    va_start(ap, fmt);
    n += vsnprintf(line + n, sizeof line - n - 2, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof line - 2) n = sizeof line - 2;
    line[n++] = '\n';
    f = CreateFileW(path, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS, 0, NULL);
    if (f == INVALID_HANDLE_VALUE) return;
    WriteFile(f, line, n, &w, NULL);
    CloseHandle(f);
}

/* Looks "name" up in a "Func=value;Func=value" variable. */
static BOOL knob(const WCHAR *var, const char *name, unsigned long *val)
{
    WCHAR buf[1024], wname[64], *p;
    size_t n = strlen(name);

    if (!env_str(var, buf, 1024)) return FALSE;
    mbstowcs(wname, name, 64);
    for (p = buf; p && *p; p = wcschr(p, ';'), p = p ? p + 1 : NULL)
        if (!wcsncmp(p, wname, n) && p[n] == '=') {
            *val = wcstoul(p + n + 1, NULL, 0);
            return TRUE;
        }
    return FALSE;
}

HR enter(const char *name, const WCHAR *arg, HANDLE end)
{
    unsigned long v;

    if (knob(L"WINE_HCS_DELAY", name, &v)) {
        if (end) WaitForSingleObject(end, v);
        else Sleep(v);
    }
    if (knob(L"WINE_HCS_FAIL", name, &v)) {
        log_line("%s %ls -> injected %08lx", name, arg ? arg : L"", v);
        return v;
    }
    log_line("%s %ls", name, arg ? arg : L"");
    return 0;
}

/* From where CoTaskMemAlloc takes it, and our taskmem.dll gives it back. */
WCHAR *co_dup(const WCHAR *s)
{
    size_t n = (wcslen(s) + 1) * sizeof(WCHAR);
    WCHAR *p = HeapAlloc(GetProcessHeap(), 0, n);
    if (p) memcpy(p, s, n);
    return p;
}

static void str_append(struct str *s, const WCHAR *text, size_t k)
{
    if (s->n + k + 1 > s->cap) {
        s->cap = (s->n + k + 1) * 2 + 256;
        s->p = realloc(s->p, s->cap * sizeof(WCHAR));
        if (!s->p) abort();
    }
    memcpy(s->p + s->n, text, k * sizeof(WCHAR));
    s->n += k;
    s->p[s->n] = 0;
}

void str_add(struct str *s, const WCHAR *fmt, ...)
{
    va_list ap;
    WCHAR tmp[1024];
    int k;

    va_start(ap, fmt);
    k = vswprintf(tmp, 1024, fmt, ap);
    va_end(ap);
    if (k > 0) str_append(s, tmp, k);
}

void str_json(struct str *s, const WCHAR *v)
{
    str_add(s, L"\"");
    for (; *v; v++) {
        if (*v == '"' || *v == '\\') str_append(s, L"\\", 1);
        if (*v < 0x20) str_add(s, L"\\u%04x", *v);
        else str_append(s, v, 1);   /* printf would stumble over half a character */
    }
    str_add(s, L"\"");
}

BOOL str_write(const struct str *s, const WCHAR *path)
{
    int n = WideCharToMultiByte(CP_UTF8, 0, s->p, (int)s->n, NULL, 0, NULL, NULL);
    char *utf8 = alloc(n);
    HANDLE f = CreateFileW(path, GENERIC_WRITE, FILE_SHARE_READ, NULL, CREATE_ALWAYS, 0, NULL);
    BOOL ok = FALSE;
    DWORD w;

    WideCharToMultiByte(CP_UTF8, 0, s->p, (int)s->n, utf8, n, NULL, NULL);
    if (f != INVALID_HANDLE_VALUE) {
        ok = WriteFile(f, utf8, n, &w, NULL);
        CloseHandle(f);
    }
    free(utf8);
    return ok;
}
