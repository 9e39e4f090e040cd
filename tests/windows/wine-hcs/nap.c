/*
 * nap.c - preloaded into the wineserver: it lets a client read.
 * As long as a socket that nobody waits for has data, Wine 8's server finds it ready each time that it asks, looks whether
 * the other side has hung up (a recv with MSG_PEEK), and asks again: until the client has read, which it cannot while the
 * server has the processor that it needs.  After each such look the server sleeps here, longer each time.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { SHORTEST = 50 * 1000, LONGEST = 1000 * 1000 }; /* ns */

static int unread;

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    ssize_t got = recvfrom(fd, buffer, size, flags, NULL, NULL);
    if (got > 0 && (flags & MSG_PEEK)) unread = 1;
    return got;
}

int epoll_wait(int fd, struct epoll_event *events, int size, int timeout)
{
    static struct timespec nap = { 0, SHORTEST };
    if (unread) {
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < LONGEST) nap.tv_nsec *= 2;
    } else {
        nap.tv_nsec = SHORTEST;
    }
    unread = 0;
    return epoll_pwait(fd, events, size, timeout, NULL);
}
