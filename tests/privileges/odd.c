// Programs that are hard on a profiler, by name: odd WHAT [SECONDS].
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// CPU time of this thread: as many samples on a busy machine as on a quiet one.
static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

__attribute__((noinline)) static void burn(double duration) {
    static volatile unsigned long sink;
    double end = seconds() + duration;
    while (seconds() < end)
        for (int i = 0; i < 100000; i++) sink += i;
}

static void *burner(void *arg) {
    burn(*(double *)arg);
    return NULL;
}

static void *leaver(void *arg) {
    burn(*(double *)arg);
    exit(11);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    static double half, tenth = 0.1;
    half = argc > 2 ? atof(argv[2]) : 0.5;
    pthread_t thread;
    if (!strcmp(what, "burn")) {  // the plain case
        burn(half);
    } else if (!strcmp(what, "quick")) {  // over before anyone looks
        return 12;
    } else if (!strcmp(what, "thread-exits")) {  // the process ends from a thread that is not the first
        pthread_create(&thread, NULL, leaver, &half);
        pause();
    } else if (!strcmp(what, "main-leaves")) {  // the first thread goes, others work on
        pthread_create(&thread, NULL, burner, &half);
        pthread_exit(NULL);
    } else if (!strcmp(what, "thread-execs")) {  // a thread that is not the first becomes another program
        pthread_create(&thread, NULL, burner, &tenth);
        pthread_join(thread, NULL);
        burn(0.2);
        execl(argv[0], argv[0], "burn", NULL);
    } else if (!strcmp(what, "forks")) {  // a hundred children that work a little
        for (int i = 0; i < 100; i++)
            if (fork() == 0) {
                burn(0.004);
                _exit(i & 127);
            }
        while (wait(NULL) > 0) {
        }
        return 13;
    } else if (!strcmp(what, "fork-bombs-out")) {  // children that nobody waits for and that outlive it
        for (int i = 0; i < 5; i++)
            if (fork() == 0) {
                burn(0.3);
                _exit(0);
            }
        burn(0.1);
        return 14;
    } else if (!strcmp(what, "brood")) {  // children that work while it waits
        for (int i = 0; i < 3; i++)
            if (fork() == 0) {
                burn(1.5);
                _exit(0);
            }
        while (wait(NULL) > 0) {
        }
    } else if (!strcmp(what, "closes")) {  // closes all it was given
        for (int fd = 0; fd < 64; fd++) close(fd);
        burn(half);
        return 15;
    } else if (!strcmp(what, "undumpable")) {  // hides from /proc
        prctl(PR_SET_DUMPABLE, 0);
        burn(half);
        return 16;
    } else if (!strcmp(what, "renames")) {  // a name that parsers of /proc trip over
        prctl(PR_SET_NAME, "a) R 1\n(b");
        burn(half);
        return 17;
    } else if (!strcmp(what, "zombie")) {  // prints the pid of a child that has ended and is not waited for
        pid_t child = fork();
        if (child == 0) _exit(0);
        printf("%d\n", child);
        fflush(stdout);
        sleep(10);
    } else {
        return 99;
    }
    return 0;
}
