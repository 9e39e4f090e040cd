/* taskmem.dll - the one call of COM that hcsshim makes: it frees what HCS has given it (wine.c). */
#define WIN32_LEAN_AND_MEAN /* without COM, which declares it as another's */
#include <windows.h>

__declspec(dllexport) void WINAPI CoTaskMemFree(void *p)
{
    HeapFree(GetProcessHeap(), 0, p);
}
