/* A library that truth_dlopen loads while it runs: opened after the first was closed, so it may come to lie at the same address.
 * plugin_b_run is its only export; the work is in a local function. */
#include <stdint.h>

uint64_t plugin_b_run(uint64_t rounds);

static __attribute__((noinline)) uint64_t plugin_b_crunch(uint64_t rounds) {
    uint64_t x = 0x082efa98ec4e6c89u;
    for (uint64_t i = 0; i < rounds; i++) {
        x ^= x << 7;
        x ^= x >> 9;
        x ^= x << 8;
    }
    return x;
}

uint64_t plugin_b_run(uint64_t rounds) {
    return plugin_b_crunch(rounds) + 1;
}
