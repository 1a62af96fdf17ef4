/* The C side of truth_c. Each function's loop is its own cost; constants differ so that no two can be merged.
 * Every caller adds to its callee's result, so that no call is turned into a jump and every frame stays. */
#include <stdint.h>

uint64_t tc_scan(uint64_t rounds);
uint64_t tc_batch(uint64_t rounds);
uint64_t tc_triple(uint64_t rounds);

/* Exported, called from Rust directly. */
__attribute__((noinline)) uint64_t tc_scan(uint64_t rounds) {
    uint64_t x = 0x243f6a8885a308d3u;
    for (uint64_t i = 0; i < rounds; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

/* A local symbol: it is in .symtab, not in .dynsym. */
static __attribute__((noinline)) uint64_t tc_mix(uint64_t rounds) {
    uint64_t x = 0x13198a2e03707344u;
    for (uint64_t i = 0; i < rounds; i++) {
        x ^= x << 23;
        x ^= x >> 17;
        x ^= x << 26;
    }
    return x;
}

uint64_t tc_batch(uint64_t rounds) {
    return tc_mix(rounds) + 1;
}

/* Always called with the same step, so gcc emits it as tc_scale.constprop.0. */
static __attribute__((noinline)) uint64_t tc_scale(uint64_t rounds, uint64_t step) {
    uint64_t x = 0xa4093822299f31d0u;
    for (uint64_t i = 0; i < rounds; i++) {
        x ^= x << 11;
        x ^= x >> 5;
        x ^= (x << 32) + step;
    }
    return x;
}

uint64_t tc_triple(uint64_t rounds) {
    return tc_scale(rounds, 3) + 1;
}
