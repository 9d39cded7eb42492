// Recording of launches, apart from CUDA's headers, whose dim3 is not the executor's.
#pragma once
#include <functional>
#include <vector>

namespace pg::fake_cuda {

void begin_recording();
bool is_recording();
void record(std::function<void()> work);
std::vector<std::function<void()>> end_recording();

}  // namespace pg::fake_cuda
