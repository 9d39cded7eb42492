// The entropy coder of quantised weights: rANS over adaptive distributions, for an artifact with
// the fewest bytes that decodes in well under a second.
//
// Codes of a matrix are coded column by column. What to expect of a code is the product of a row's
// level and a column's level (weights are nearly Gaussian with a scale per row and per column),
// both learned from the codes already coded; its logarithm picks one of kContexts histograms of
// magnitudes, which adapt, starting from a Gaussian. Signs carry nothing and are raw. Rows that
// nearly repeat an earlier one (embeddings of tokens that training never saw move alike) are coded
// as differences. Only integers decide, so every machine decodes the same.
//
// A stream is canonical: exactly one decodes to given calls and values (ans.h).
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "quant/coder/weight_source.h"
#include "src/base/bytes.h"

namespace pg {

constexpr int kCoderRoles = 16;  // statistics are kept across the calls of one role

// The same sequence of calls on both sides. Roles 0 to 15; statistics start afresh when max_code
// changes within a role.
class WeightEncoder {
 public:
  WeightEncoder();
  ~WeightEncoder();
  void codes(const CodeShape& shape, std::span<const int8_t> codes, int role);  // [rows, cols]
  void halves(std::span<const uint16_t> halves, HalfKind kind, int role);
  // Vectors of small integers in [-max_code, max_code]: values or differences, whichever costs
  // less.
  void small_codes(std::span<const int8_t> codes, int max_code, int role);
  Bytes finish();  // ends the use of this object
  double ideal_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class WeightDecoder final : public WeightSource {
 public:
  explicit WeightDecoder(std::span<const uint8_t> stream);  // must outlive this object
  ~WeightDecoder() override;
  bool codes(const CodeShape& shape, std::span<int8_t> out, int role) override;
  bool halves(std::span<uint16_t> out, HalfKind kind, int role) override;
  bool small_codes(std::span<int8_t> out, int max_code, int role) override;
  bool finish() override;
  bool failed() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Bytes that these matrices take, without making a stream.
double price_codes(std::span<const CodeShape> shapes,
                   std::span<const std::span<const int8_t>> codes, std::span<const int> roles);

}  // namespace pg
