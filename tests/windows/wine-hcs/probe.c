/*
 * probe.exe - the program that smoke.sh runs as a container.
 *   probe LOG TICKS CODE [stdin]
 * Ten times a second it writes to stdout and stderr and appends to LOG what
 * became of the writes; after TICKS ticks it exits with CODE.  With "stdin" it
 * first reads stdin to its end.
 *   probe wait PID
 * says "watching", waits for a process and prints its exit code (a shim's, for
 * instance).
 *   probe alive PID
 * exits with 0 if there is such a process, else with 1.
 *   probe started PID
 * prints when a process was started, as a FILETIME.
 *   probe kill PID
 * ends a process at once, as a crash would (exit code 1).
 *   probe serve
 * runs one command after the other: each is a line on stdin of five fields,
 * parted by the character 1F: the files for stdout and stderr, the folder, a
 * variable (NAME=VALUE or nothing) and the command line.  Says "exit code N"
 * or "not started: error N" for each.  Unlike a program that is started from Linux, such a command has a
 * stderr of its own: wine's complaints go to that of "probe serve".
 *   probe job COMMANDLINE
 * runs a command as a pod does: in a job that ends all of its processes when
 * its last handle is closed, which is this process's.  Prints both pids.
 *   probe capture COMMANDLINE
 * runs a command as a Windows client would that collects its output: stdin
 * NUL, stdout and stderr one anonymous pipe, read to its end.  Prints the
 * output, when the command ended and when the pipe did (ms).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static void note(const char *path, const char *line)
{
    DWORD w;
    HANDLE f = CreateFileA(path, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS, 0, NULL);
    if (f == INVALID_HANDLE_VALUE) return;
    WriteFile(f, line, (DWORD)strlen(line), &w, NULL);
    CloseHandle(f);
}

static DWORD say(DWORD which, const char *line)
{
    DWORD w;
    if (WriteFile(GetStdHandle(which), line, (DWORD)strlen(line), &w, NULL)) return 0;
    return GetLastError();
}

static int capture(char *cmd)
{
    SECURITY_ATTRIBUTES sa = { sizeof sa, NULL, TRUE };
    STARTUPINFOA si = { .cb = sizeof si };
    PROCESS_INFORMATION pi;
    HANDLE r, w;
    char buf[4096];
    DWORD n, code, t0 = GetTickCount(), ended;

    CreatePipe(&r, &w, &sa, 0);
    SetHandleInformation(r, HANDLE_FLAG_INHERIT, 0);
    si.dwFlags = STARTF_USESTDHANDLES;
    si.hStdInput = CreateFileA("NUL", GENERIC_READ, 3, &sa, OPEN_EXISTING, 0, NULL);
    si.hStdOutput = si.hStdError = w;
    if (!CreateProcessA(NULL, cmd, NULL, NULL, TRUE, 0, NULL, NULL, &si, &pi)) return 98;
    CloseHandle(w);
    WaitForSingleObject(pi.hProcess, INFINITE);
    GetExitCodeProcess(pi.hProcess, &code);
    ended = GetTickCount() - t0;
    printf("[");
    while (ReadFile(r, buf, sizeof buf, &n, NULL) && n) fwrite(buf, 1, n, stdout);
    printf("] exit code %lu; command ended after %lu ms, pipe after %lu ms\n", code, ended, GetTickCount() - t0);
    return (int)code;
}

static HANDLE inheritable(const WCHAR *name, DWORD access, DWORD how)
{
    SECURITY_ATTRIBUTES sa = { sizeof sa, NULL, TRUE };
    return CreateFileW(name, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, &sa, how,
                       FILE_ATTRIBUTE_NORMAL, NULL);
}

/* Runs the command of one line; FALSE with an error if it cannot be started. */
static BOOL run(WCHAR *line, DWORD *code)
{
    STARTUPINFOW si = { .cb = sizeof si };
    PROCESS_INFORMATION pi;
    WCHAR *field[5], *value = NULL;
    BOOL started;
    DWORD error;
    int i;

    for (i = 0; i < 5; i++) {
        field[i] = line;
        if (i < 4 && !(line = wcschr(line, 0x1f))) {
            SetLastError(ERROR_INVALID_DATA);
            return FALSE;
        }
        if (i < 4) *line++ = 0;
    }
    if (*field[3] && (value = wcschr(field[3], '='))) {
        *value++ = 0;
        SetEnvironmentVariableW(field[3], value);
    }
    si.dwFlags = STARTF_USESTDHANDLES;
    si.hStdInput = inheritable(L"NUL", GENERIC_READ, OPEN_EXISTING);
    si.hStdOutput = inheritable(field[0], GENERIC_WRITE, CREATE_ALWAYS);
    si.hStdError = inheritable(field[1], GENERIC_WRITE, CREATE_ALWAYS);
    started = CreateProcessW(NULL, field[4], NULL, NULL, TRUE, DETACHED_PROCESS, NULL, field[2], &si, &pi);
    error = GetLastError();
    if (value) SetEnvironmentVariableW(field[3], NULL);
    CloseHandle(si.hStdInput);
    CloseHandle(si.hStdOutput);
    CloseHandle(si.hStdError);
    if (!started) {
        SetLastError(error);
        return FALSE;
    }
    CloseHandle(pi.hThread);
    WaitForSingleObject(pi.hProcess, INFINITE);
    GetExitCodeProcess(pi.hProcess, code);
    CloseHandle(pi.hProcess);
    return TRUE;
}

static int serve(void)
{
    static char line[65536];
    static WCHAR wide[65536];
    DWORD code;

    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        MultiByteToWideChar(CP_UTF8, 0, line, -1, wide, 65536);
        if (run(wide, &code)) printf("exit code %lu\n", code);
        else printf("not started: error %lu\n", GetLastError());
        fflush(stdout);
    }
    return 0;
}

static int in_job(char *cmd)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = { 0 };
    STARTUPINFOA si = { .cb = sizeof si };
    PROCESS_INFORMATION pi;
    DWORD code;
    HANDLE job = CreateJobObjectA(NULL, NULL);

    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (!SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits)) return 97;
    if (!CreateProcessA(NULL, cmd, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL, &si, &pi)) return 98;
    if (!AssignProcessToJobObject(job, pi.hProcess)) return 96;
    printf("job of %lu has %lu\n", GetCurrentProcessId(), pi.dwProcessId);
    fflush(stdout);
    ResumeThread(pi.hThread);
    WaitForSingleObject(pi.hProcess, INFINITE);
    GetExitCodeProcess(pi.hProcess, &code);
    return (int)code;
}

int main(int argc, char **argv)
{
    char buf[1024], cwd[MAX_PATH], foo[100] = "", host[100] = "", secret[100] = "";
    int i, ticks, code;

    if (argc == 3 && !strcmp(argv[1], "wait")) {
        DWORD c = 0;
        HANDLE h = OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, strtoul(argv[2], NULL, 0));
        if (!h) {
            printf("no process %s\n", argv[2]);
            return 1;
        }
        printf("watching\n");
        fflush(stdout);
        WaitForSingleObject(h, INFINITE);
        GetExitCodeProcess(h, &c);
        printf("exit code %lu\n", c);
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "alive")) {
        HANDLE h = OpenProcess(SYNCHRONIZE, FALSE, strtoul(argv[2], NULL, 0));
        return h && WaitForSingleObject(h, 0) == WAIT_TIMEOUT ? 0 : 1;
    }
    if (argc == 3 && !strcmp(argv[1], "started")) {
        FILETIME start, other;
        HANDLE h = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, strtoul(argv[2], NULL, 0));
        if (!h || !GetProcessTimes(h, &start, &other, &other, &other)) return 1;
        printf("%llu\n", (unsigned long long)start.dwHighDateTime << 32 | start.dwLowDateTime);
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "kill")) {
        HANDLE h = OpenProcess(PROCESS_TERMINATE, FALSE, strtoul(argv[2], NULL, 0));
        return h && TerminateProcess(h, 1) ? 0 : 1;
    }
    if (argc == 3 && !strcmp(argv[1], "job")) return in_job(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "capture")) return capture(argv[2]);
    if (argc == 2 && !strcmp(argv[1], "serve")) return serve();
    if (argc < 4) return 99;
    ticks = atoi(argv[2]);
    code = (int)strtoul(argv[3], NULL, 0);
    GetCurrentDirectoryA(sizeof cwd, cwd);
    GetEnvironmentVariableA("FOO", foo, sizeof foo);
    GetEnvironmentVariableA("COMPUTERNAME", host, sizeof host);
    GetEnvironmentVariableA("CALLER_ONLY", secret, sizeof secret);
    snprintf(buf, sizeof buf, "begin pid=%lu cwd=%s FOO=%s COMPUTERNAME=%s CALLER_ONLY=%s\n",
             GetCurrentProcessId(), cwd, foo, host, secret);
    note(argv[1], buf);
    if (argc > 4) {
        DWORD n, all = 0;
        while (ReadFile(GetStdHandle(STD_INPUT_HANDLE), buf, sizeof buf, &n, NULL) && n) all += n;
        snprintf(buf, sizeof buf, "stdin bytes=%lu error=%lu\n", all, GetLastError());
        note(argv[1], buf);
    }
    for (i = 0; i < ticks; i++) {
        DWORD o, e;
        snprintf(buf, sizeof buf, "out %d\r\n", i);
        o = say(STD_OUTPUT_HANDLE, buf);
        snprintf(buf, sizeof buf, "err %d\r\n", i);
        e = say(STD_ERROR_HANDLE, buf);
        snprintf(buf, sizeof buf, "tick %d stdout=%lu stderr=%lu\n", i, o, e);
        note(argv[1], buf);
        Sleep(100);
    }
    note(argv[1], "end\n");
    return code;
}
