// What kernels share: vectors of floats, memory of a thread, and work on all threads.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

constexpr int kLanes = 16;
constexpr int kRows = 8;

using Array = ffi::Buffer<ffi::F32>;

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float)), aligned(4)));
typedef int Lanes __attribute__((vector_size(kLanes * sizeof(int))));

inline Vector Load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void Store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

inline int64_t RoundUp(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// Memory of this thread for `count` floats, until it is asked for again.
float* Scratch(size_t count) {
  thread_local std::vector<float> memory;
  if (memory.size() < count + kLanes) memory.resize(count + kLanes);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + (64 - address % 64) % 64 / sizeof(float);
}

// Runs work(index) for all indices below `count`, on this thread and on those of the pool that are free.
template <typename Work>
void ForAll(ffi::ThreadPool& pool, int64_t count, const Work& work) {
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
  };
  auto shared = std::make_shared<Shared>();
  const auto take = [=, &work] {
    for (int64_t index; (index = shared->next.fetch_add(1)) < count;) {
      work(index);
      shared->done.fetch_add(1, std::memory_order_release);
    }
  };
  const int64_t helpers = std::min<int64_t>(pool.num_threads(), count) - 1;
  for (int64_t helper = 0; helper < helpers; ++helper) pool.Schedule([take]() { take(); });
  take();
  while (shared->done.load(std::memory_order_acquire) < count) std::this_thread::yield();
}

}  // namespace
