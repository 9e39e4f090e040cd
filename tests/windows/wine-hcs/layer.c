/*
 * Storage layers.  A layer is a folder.  Which scratch layers are active is
 * written to <dir>\layers\<guid>.txt, so that a test can see what was left
 * mounted.
 */
#include "hcs.h"

struct layer_desc { GUID id; DWORD flags; const WCHAR *path; };

static void name_guid(const WCHAR *name, GUID *g)
{
    unsigned long long h[2] = { 0xcbf29ce484222325ull, 0x9ae16a3b2f90404full };

    for (; *name; name++) {
        WCHAR c = towlower(*name);
        h[0] = (h[0] ^ c) * 0x100000001b3ull;
        h[1] = (h[1] ^ (c + 0x5bu)) * 0x100000001b3ull;
    }
    memcpy(g, h, sizeof *g);
    g->Data3 = (g->Data3 & 0x0fff) | 0x5000;
    g->Data4[0] = (g->Data4[0] & 0x3f) | 0x80;
}

static void guid_str(const GUID *g, WCHAR *out)
{
    swprintf(out, 40, L"%08lx-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", g->Data1, g->Data2, g->Data3,
             g->Data4[0], g->Data4[1], g->Data4[2], g->Data4[3], g->Data4[4], g->Data4[5], g->Data4[6], g->Data4[7]);
}

static BOOL is_dir(const WCHAR *path)
{
    DWORD a = GetFileAttributesW(path);

    return a != INVALID_FILE_ATTRIBUTES && (a & FILE_ATTRIBUTE_DIRECTORY);
}

static void layer_mark(const WCHAR *path, const WCHAR *what)   /* NULL removes the mark */
{
    WCHAR dir[MAX_PATH], file[MAX_PATH * 2], g[40];
    struct str line = { 0 };
    GUID guid;

    name_guid(path, &guid);
    guid_str(&guid, g);
    root_dir(dir, MAX_PATH - 10);
    wcscat(dir, L"\\layers");
    CreateDirectoryW(dir, NULL);
    swprintf(file, MAX_PATH * 2, L"%ls\\%ls.txt", dir, g);
    if (!what) {
        DeleteFileW(file);
        return;
    }
    str_add(&line, L"%ls %ls\n", what, path);
    str_write(&line, file);
    free(line.p);
}

static HR parents_exist(const struct layer_desc *d, DWORD n)
{
    DWORD i;

    for (i = 0; i < n; i++)
        if (!is_dir(d[i].path)) return HR_WIN32(ERROR_PATH_NOT_FOUND);
    return HR_OK;
}

EXPORT HR NameToGuid(const WCHAR *name, GUID *g)
{
    ENTER(name);
    name_guid(name, g);
    return HR_OK;
}

EXPORT HR CreateSandboxLayer(UNUSED void *drv, const WCHAR *path, UNUSED ULONG_PTR parent, const struct layer_desc *d,
                             DWORD n)
{
    WCHAR file[MAX_PATH * 2];
    HANDLE f;
    HR hr;

    ENTER(path);
    if ((hr = parents_exist(d, n))) return hr;
    CreateDirectoryW(path, NULL);
    swprintf(file, MAX_PATH * 2, L"%ls\\sandbox.vhdx", path);
    f = CreateFileW(file, GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
    if (f == INVALID_HANDLE_VALUE) return HR_WIN32(GetLastError());
    CloseHandle(f);
    return HR_OK;
}

EXPORT HR ActivateLayer(UNUSED void *drv, const WCHAR *path)
{
    ENTER(path);
    if (!is_dir(path)) return HR_WIN32(ERROR_PATH_NOT_FOUND);
    layer_mark(path, L"activated");
    return HR_OK;
}

EXPORT HR DeactivateLayer(UNUSED void *drv, const WCHAR *path)
{
    ENTER(path);
    layer_mark(path, NULL);
    return HR_OK;
}

EXPORT HR PrepareLayer(UNUSED void *drv, const WCHAR *path, const struct layer_desc *d, DWORD n)
{
    HR hr;

    ENTER(path);
    if ((hr = parents_exist(d, n))) return hr;
    layer_mark(path, L"prepared");
    return HR_OK;
}

EXPORT HR UnprepareLayer(UNUSED void *drv, const WCHAR *path)
{
    ENTER(path);
    layer_mark(path, L"activated");
    return HR_OK;
}

EXPORT HR GetLayerMountPath(UNUSED void *drv, const WCHAR *path, size_t *len, WCHAR *buf)
{
    WCHAR mount[64], g[40];
    GUID guid;

    ENTER(path);
    name_guid(path, &guid);
    guid_str(&guid, g);
    swprintf(mount, 64, L"\\\\?\\Volume{%ls}\\", g);
    if (buf) {
        if (*len < wcslen(mount) + 1) return HR_WIN32(ERROR_INSUFFICIENT_BUFFER);
        wcscpy(buf, mount);
    }
    *len = wcslen(mount) + 1;
    return HR_OK;
}

EXPORT HR LayerExists(UNUSED void *drv, const WCHAR *path, DWORD *exists)
{
    ENTER(path);
    *exists = is_dir(path);
    return HR_OK;
}

EXPORT HR DestroyLayer(UNUSED void *drv, const WCHAR *path)
{
    WCHAR file[MAX_PATH * 2];

    ENTER(path);
    swprintf(file, MAX_PATH * 2, L"%ls\\sandbox.vhdx", path);
    DeleteFileW(file);
    layer_mark(path, NULL);
    RemoveDirectoryW(path);
    return HR_OK;
}

EXPORT HR ExpandSandboxSize(UNUSED void *drv, const WCHAR *path, UNUSED unsigned long long size)
{
    ENTER(path);
    return HR_OK;
}

EXPORT HR GrantVmAccess(UNUSED const WCHAR *vm, const WCHAR *path)
{
    ENTER(path);
    return HR_OK;
}
