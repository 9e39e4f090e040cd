/*
 * Three gaps in Wine that stand in hcsshim's way, closed inside this process.
 * Two by pointing an export at a wrapper: Go looks its Windows calls up by name
 * at their first use, and hcsshim loads this library before it uses either.
 */
#include "hcs.h"
#include <winternl.h>

typedef LONG(WINAPI *create_pipe_fn)(HANDLE *, ACCESS_MASK, void *, void *, ULONG, ULONG, ULONG,
                                      ULONG, ULONG, ULONG, ULONG, ULONG, ULONG, LARGE_INTEGER *);
typedef LONG(WINAPI *open_file_fn)(HANDLE *, ACCESS_MASK, void *, void *, ULONG, ULONG);
typedef LONG(WINAPI *fsctl_fn)(HANDLE, HANDLE, void *, void *, void *, ULONG, void *, ULONG, void *, ULONG);
typedef DWORD(WINAPI *format_fn)(DWORD, const void *, DWORD, DWORD, WCHAR *, DWORD, va_list *);

static create_pipe_fn real_create_pipe;
static open_file_fn   nt_open_file;
static fsctl_fn       nt_fsctl;
static format_fn      real_format;

/*
 * go-winio's ListenPipe makes its first pipe instance without read or write
 * access.  Windows leaves such an instance disconnected; Wine lets it listen,
 * so that the first client would be connected to an instance that nobody
 * reads.  A connection made and dropped here leaves it disconnected.
 */
static LONG WINAPI my_create_pipe(HANDLE *h, ACCESS_MASK access, void *oa, void *io, ULONG share, ULONG disp,
                                  ULONG opts, ULONG type, ULONG mode, ULONG compl, ULONG max, ULONG in, ULONG out,
                                  LARGE_INTEGER *timeout)
{
    LONG st = real_create_pipe(h, access, oa, io, share, disp, opts, type, mode, compl, max, in, out, timeout);
    if (st >= 0 && !(access & (GENERIC_READ | GENERIC_WRITE | GENERIC_ALL | FILE_READ_DATA | FILE_WRITE_DATA))) {
        ULONG_PTR iosb[2] = { 0 };
        HANDLE client;
        if (nt_open_file(&client, FILE_READ_ATTRIBUTES | SYNCHRONIZE, oa, iosb,
                         FILE_SHARE_READ | FILE_SHARE_WRITE, 0) >= 0) {
            CloseHandle(client);
            nt_fsctl(*h, NULL, NULL, NULL, iosb, 0x110004 /* FSCTL_PIPE_DISCONNECT */, NULL, 0, NULL, 0);
        }
    }
    return st;
}

/* Wine has no text for HCS's errors, and other words for some of Windows's. */
static const struct {
    DWORD code;
    const WCHAR *text;
} messages[] = {
    { 2,    L"The system cannot find the file specified." },
    { 3,    L"The system cannot find the path specified." },
    { 5,    L"Access is denied." },
    { 6,    L"The handle is invalid." },
    { 32,   L"The process cannot access the file because it is being used by another process." },
    { 50,   L"The request is not supported." },
    { 80,   L"The file exists." },
    { 87,   L"The parameter is incorrect." },
    { 109,  L"The pipe has been ended." },
    { 126,  L"The specified module could not be found." },
    { 127,  L"The specified procedure could not be found." },
    { 183,  L"Cannot create a file when that file already exists." },
    { 231,  L"All pipe instances are busy." },
    { 232,  L"The pipe is being closed." },
    { 267,  L"The directory name is invalid." },
    { 1168, L"Element not found." },
    { 0x80370100, L"The virtual machine or container exited unexpectedly while starting." },
    { 0x80370101, L"The container operating system does not match the host operating system." },
    { 0x80370105, L"The requested virtual machine or container operation is not valid in the current state." },
    { 0x80370106, L"The virtual machine or container exited unexpectedly." },
    { 0x80370107, L"The virtual machine or container was forcefully exited." },
    { 0x8037010B, L"An unknown internal message was received by the virtual machine or container." },
    { 0x8037010D, L"The virtual machine or container JSON document is invalid." },
    { 0x8037010E, L"A virtual machine or container with the specified identifier does not exist." },
    { 0x8037010F, L"A virtual machine or container with the specified identifier already exists." },
    { 0x80370110, L"The virtual machine or container with the specified identifier is not running." },
    { 0x8037011F, L"The process has already exited." },
};

static DWORD WINAPI my_format(DWORD flags, const void *src, DWORD id, DWORD lang, WCHAR *buf, DWORD n, va_list *args)
{
    DWORD code = (id & 0xFFFF0000) == 0xC0370000 ? id & ~0x40000000u : id;
    size_t i;

    if ((flags & FORMAT_MESSAGE_FROM_SYSTEM) && !(flags & FORMAT_MESSAGE_ALLOCATE_BUFFER))
        for (i = 0; i < sizeof messages / sizeof *messages; i++)
            if (messages[i].code == code && wcslen(messages[i].text) + 3 <= n) {
                wcscpy(buf, messages[i].text);
                wcscat(buf, L"\r\n");
                return (DWORD)wcslen(buf);
            }
    return real_format(flags, src, id, lang, buf, n, args);
}

/*
 * A Wine process inherits its parent's Unix stderr whatever handles it was
 * given, so a shim would hold a Linux caller's stderr pipe open for as long as
 * the container runs.  No Windows shim does.  This puts /dev/null there.
 */
static long unix_call(long nr, const void *a, long b, long c)
{
    long ret;

    __asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return ret;
}

static void drop_unix_stderr(void)
{
    long fd;

    if (!GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version")) return;
    if (!wcsstr(GetCommandLineW(), L" shim --stdin ")) return;
    fd = unix_call(2 /* open */, "/dev/null", 2 /* O_RDWR */, 0);
    if (fd < 0) return;
    unix_call(33 /* dup2 */, (void *)(ULONG_PTR)fd, 2, 0);
    if (fd != 2) unix_call(3 /* close */, (void *)(ULONG_PTR)fd, 0, 0);
}

/* The export table's entry for "name" in a loaded library, or NULL. */
static DWORD *export_entry(BYTE *base, const char *name)
{
    IMAGE_NT_HEADERS *nt = (IMAGE_NT_HEADERS *)(base + ((IMAGE_DOS_HEADER *)base)->e_lfanew);
    IMAGE_DATA_DIRECTORY *dir = &nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT];
    IMAGE_EXPORT_DIRECTORY *ex = (IMAGE_EXPORT_DIRECTORY *)(base + dir->VirtualAddress);
    DWORD *names = (DWORD *)(base + ex->AddressOfNames), i;
    WORD *ords = (WORD *)(base + ex->AddressOfNameOrdinals);

    for (i = 0; i < ex->NumberOfNames; i++)
        if (!strcmp((char *)base + names[i], name)) return (DWORD *)(base + ex->AddressOfFunctions) + ords[i];
    return NULL;
}

/* A jump to fn, near base: an export entry holds 32 bits counted from there. */
static BYTE *jump_near(BYTE *base, void *fn)
{
    BYTE *at = NULL, *try;

    for (try = base + 0x1000000; !at && try < base + 0x70000000; try += 0x100000)
        at = VirtualAlloc(try, 0x1000, MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE);
    if (!at) return NULL;
    memcpy(at, "\x48\xb8", 2);             /* mov rax, fn */
    memcpy(at + 2, &fn, 8);
    memcpy(at + 10, "\xff\xe0", 2);        /* jmp rax */
    return at;
}

/* Makes export "name" of a loaded library lead to fn, for look-ups from now on. */
static void redirect(const WCHAR *dll, const char *name, void *fn)
{
    BYTE *base = (BYTE *)GetModuleHandleW(dll), *at;
    DWORD *entry = export_entry(base, name), old;

    if (!entry || !(at = jump_near(base, fn))) return;
    if (!VirtualProtect(entry, sizeof *entry, PAGE_READWRITE, &old)) return;
    *entry = (DWORD)(at - base);
    VirtualProtect(entry, sizeof *entry, old, &old);
}

/*
 * hcsshim frees with COM what HCS has given it.  With Wine's COM (combase) come
 * ole32, user32 and fonts, 0.02 s for each process; so taskmem.dll,
 * which has that one function, is said to be combase, and found in its place.
 */
static void stand_in_for_com(void)
{
    static WCHAR com[] = L"C:\\windows\\system32\\combase.dll";
    HMODULE own = LoadLibraryW(L"C:\\windows\\taskmem.dll");
    LIST_ENTRY *modules = &NtCurrentTeb()->ProcessEnvironmentBlock->Ldr->InMemoryOrderModuleList, *at;

    for (at = modules->Flink; own && at != modules; at = at->Flink) {
        LDR_DATA_TABLE_ENTRY *module = CONTAINING_RECORD(at, LDR_DATA_TABLE_ENTRY, InMemoryOrderLinks);
        if (module->DllBase != own) continue;
        module->FullDllName.Buffer = com;
        module->FullDllName.Length = sizeof com - sizeof *com;
        module->FullDllName.MaximumLength = sizeof com;
    }
}

BOOL WINAPI DllMain(HINSTANCE inst, DWORD why, UNUSED void *reserved)
{
    HMODULE nt = GetModuleHandleW(L"ntdll.dll");

    if (why != DLL_PROCESS_ATTACH) return TRUE;
    DisableThreadLibraryCalls(inst);
    nt_open_file = (open_file_fn)(void *)GetProcAddress(nt, "NtOpenFile");
    nt_fsctl = (fsctl_fn)(void *)GetProcAddress(nt, "NtFsControlFile");
    real_create_pipe = (create_pipe_fn)(void *)GetProcAddress(nt, "NtCreateNamedPipeFile");
    real_format = (format_fn)(void *)GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "FormatMessageW");
    redirect(L"ntdll.dll", "NtCreateNamedPipeFile", my_create_pipe);
    redirect(L"kernel32.dll", "FormatMessageW", my_format);
    stand_in_for_com();
    drop_unix_stderr();
    return TRUE;
}
