// In the place of cpu_matmul_onednn.cpp: cpu:exact asks for the processor's instructions and for no product.
#include "src/base/check.h"
#include "src/device/cpu/cpu_matmul_onednn.h"

namespace pg {

struct OnednnMatmul::Thread {};

bool onednn_has(OnednnIsa /*isa*/) { return false; }
OnednnMatmul::OnednnMatmul(int /*max_threads*/) : scratch_(1) {}
OnednnMatmul::~OnednnMatmul() = default;
void OnednnMatmul::run(const Product&, const void*, const void*, void*) {
  PG_CHECK(false, "this program has no oneDNN");
}

}  // namespace pg
