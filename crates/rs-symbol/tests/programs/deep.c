/* A stack of known shape for tests/unwind.rs: main, 40 frames of `deeper`, `stop`; optionally on a thread or in
   a signal handler. Built without frame pointers. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile unsigned long sink;

__attribute__((noinline)) void stop(void) {
    syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGSTOP);
    sink++;
}

__attribute__((noinline)) unsigned long deeper(unsigned long depth) {
    unsigned long local[8];
    memset((void *)local, (int)depth, sizeof local);
    __asm__ volatile("" : : "r"(local) : "memory");
    if (depth == 0)
        stop();
    else
        sink += deeper(depth - 1);
    __asm__ volatile("" : : "r"(local) : "memory");
    return local[depth % 8] + sink;
}

static void *thread(void *argument) {
    deeper(39);
    return argument;
}

static void handler(int signal) {
    (void)signal;
    stop();
}

__attribute__((noinline)) unsigned long interrupted(unsigned long depth) {
    if (depth == 0) {
        raise(SIGUSR1);
        sink++;
    } else {
        sink += interrupted(depth - 1);
    }
    return sink;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "main";
    if (!strcmp(mode, "thread")) {
        pthread_t id;
        pthread_create(&id, 0, thread, 0);
        pthread_join(id, 0);
    } else if (!strcmp(mode, "signal")) {
        signal(SIGUSR1, handler);
        interrupted(10);
    } else {
        deeper(39);
    }
    return 0;
}
