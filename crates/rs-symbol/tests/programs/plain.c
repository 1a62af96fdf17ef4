/* Known functions for tests/flavours.rs. */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static unsigned long inner(unsigned long x) {
    __asm__ volatile("" : "+r"(x));
    return x * 3;
}

static inline __attribute__((always_inline)) unsigned long inlined(unsigned long x) {
    __asm__ volatile("" : "+r"(x));
    return x ^ 5;
}

__attribute__((noinline)) unsigned long outer(unsigned long x) {
    unsigned long sum = 0;
    for (unsigned long i = 0; i < 10; i++)
        sum += inlined(inner(x + i));
    return sum;
}

int main(void) {
    printf("%lu\n", outer((unsigned long)getenv("HOME")));
    return 0;
}
