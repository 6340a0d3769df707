/* A slow disk: with LD_PRELOAD, each fsync and fdatasync takes SLOWSYNC_US microseconds longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slowly(const char *name, int file)
{
    int (*sync)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    const char *us = getenv("SLOWSYNC_US");
    int result = sync(file);
    if (us)
        usleep(atoi(us));
    return result;
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
