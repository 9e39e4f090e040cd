/* bcryptprimitives.dll - the one call that Go's and Rust's runtimes want from it. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buf, SIZE_T len)
{
    return RtlGenRandom(buf, (ULONG)len);
}
