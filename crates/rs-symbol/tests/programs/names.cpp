// Known C++ functions for tests/flavours.rs.
#include <cstdio>
#include <vector>

namespace outer {
namespace {
__attribute__((noinline)) unsigned long hidden(unsigned long x) {
    __asm__ volatile("" : "+r"(x));
    return x * 3;
}
} // namespace

template <typename T> struct Box {
    T value;
    __attribute__((noinline)) T get(T other) const {
        T sum = value + other;
        __asm__ volatile("" : "+r"(sum));
        return sum;
    }
};

__attribute__((noinline)) unsigned long apply(unsigned long x) {
    auto lambda = [](unsigned long y) __attribute__((noinline)) {
        __asm__ volatile("" : "+r"(y));
        return y + 1;
    };
    return lambda(x);
}
} // namespace outer

int main(int argc, char **) {
    outer::Box<unsigned long> box{1};
    std::printf("%lu\n", outer::hidden(argc) + box.get(argc) + outer::apply(argc));
}
