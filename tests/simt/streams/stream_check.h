// Pieces of work that use streams, events, downloads, graphs and ranks as training does, with numbers that
// are known: what a device must do with them in any order, and what a seeded bug of one is caught by.
#pragma once
#include <memory>
#include <string>

#include "src/device/device.h"
#include "tests/simt/fake_cuda/fake_cuda.h"

namespace pg {

// As pg_make_cuda_device().
using MakeCudaDevice = Device* (*)(const char* name, bool is_bf16, int place, const char** refusal);

// What is wrong, or empty: a wrong number, an access that nothing orders, or what was thrown.
std::string check_downloads(MakeCudaDevice make);
std::string check_graphs(MakeCudaDevice make);
std::string check_exchanges(MakeCudaDevice make);

// All of them under an order.
std::string check_streams(MakeCudaDevice make, fake_cuda::Order order, uint64_t seed);
// The first thing that is wrong under any of several orders, with the order's name.
std::string check_all_orders(MakeCudaDevice make);

const char* name_of(fake_cuda::Order order);

}  // namespace pg
