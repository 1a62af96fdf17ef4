/* A library that truth_dlopen loads while it runs: opened first.
 * plugin_a_run is its only export; the work is in a local function. */
#include <stdint.h>

uint64_t plugin_a_run(uint64_t rounds);

static __attribute__((noinline)) uint64_t plugin_a_crunch(uint64_t rounds) {
    uint64_t x = 0x082efa98ec4e6c89u;
    for (uint64_t i = 0; i < rounds; i++) {
        x ^= x << 12;
        x ^= x >> 25;
        x ^= x << 27;
    }
    return x;
}

uint64_t plugin_a_run(uint64_t rounds) {
    return plugin_a_crunch(rounds) + 1;
}
