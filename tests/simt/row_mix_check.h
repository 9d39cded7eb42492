// Checks implementations of the kernels that move and mix whole rows, the product's or mutants',
// against loops.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/bags.h"
#include "kernels/prepend_rows.h"
#include "kernels/smear.h"
#include "kernels/token_smear.h"

namespace pg::kerneltest {

struct BagsFamily {
  decltype(&kernels::mean_bags<float>) mean_f32;
  decltype(&kernels::mean_bags<bf16>) mean_bf16;
  decltype(&kernels::mean_bags_backward<float>) backward_f32;
  decltype(&kernels::mean_bags_backward<bf16>) backward_bf16;
};
struct PrependRowsFamily {
  decltype(&kernels::prepend_rows<float>) prepend_f32;
  decltype(&kernels::prepend_rows<bf16>) prepend_bf16;
  decltype(&kernels::prepend_rows_backward<float>) backward_f32;
  decltype(&kernels::prepend_rows_backward<bf16>) backward_bf16;
};
struct SmearFamily {
  decltype(&kernels::smear<float>) smear_f32;
  decltype(&kernels::smear<bf16>) smear_bf16;
  decltype(&kernels::smear_backward<float>) backward_f32;
  decltype(&kernels::smear_backward<bf16>) backward_bf16;
};
struct TokenSmearFamily {
  decltype(&kernels::token_smear<float>) smear_f32;
  decltype(&kernels::token_smear<bf16>) smear_bf16;
  decltype(&kernels::token_smear_backward<float>) backward_f32;
  decltype(&kernels::token_smear_backward<bf16>) backward_bf16;
};

// Of the rows [first, first + rows) of sequences of `tokens`, behind `memory` rows each where they
// have some; in bags of `bag`, a power of two; gates from the first `width` channels.
struct RowMixCase {
  int64_t rows = 1, tokens = 1, dim = 1, first = 0;
  int64_t memory = 1, bag = 1, width = 1;
  size_t offset = 0;  // elements by which the tensors miss 16-byte alignment
  bool accumulate = false;
};

// First failure over both types and all schedules: a value off, a guard overwritten, a launch that
// throws. "" when there is none. Backward passes are of all rows, and run where `first` is 0.
std::string check_bags(const BagsFamily& family, const RowMixCase& shape);
std::string check_prepend_rows(const PrependRowsFamily& family, const RowMixCase& shape);
std::string check_smear(const SmearFamily& family, const RowMixCase& shape);
std::string check_token_smear(const TokenSmearFamily& family, const RowMixCase& shape);

}  // namespace pg::kerneltest
