// What the two libraries share: counting and failing of calls, and what is live.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

namespace pg::fake_cuda {

// Whether this call is the one to fail.
bool is_to_fail(const char* call);
// Does it, or records it while a graph is recorded.
void give(std::function<void()> work);

void add_live(int64_t count);
// Whether all these bytes are of one allocation of the device.
bool is_of_device(const void* memory, size_t bytes);

}  // namespace pg::fake_cuda
