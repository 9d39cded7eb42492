// Artifacts as an attacker makes them.
#pragma once
#include "quant/format/artifact_format.h"
#include "quant/format/unpack.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {

// Every part that the format has, in under 3 kB.
inline QuantModel make_model() {
  return quantize_calibrated(tiny_config(), random_weights(tiny_config(), 3),
                             tiny_filled_quant(2900))
      .model;
}

inline QuantModel make_corrected_model() {
  QuantConfig quant = tiny_quant();
  quant.lqer_rank = 2;
  quant.lqer_group = 16;
  quant.awq_group = true;
  return quantize_calibrated(tiny_config(), random_weights(tiny_config(), 3), quant).model;
}

// What an attacker does: any body with a correct hash.
inline Bytes with_hash(std::span<const uint8_t> body) {
  Bytes out(body.begin(), body.end());
  const Sha256 digest = sha256(body);
  out.insert(out.end(), digest.begin(), digest.end());
  return out;
}

inline std::span<const uint8_t> body_of(const Bytes& file) {
  return std::span(file).first(file.size() - sizeof(Sha256));
}

// A header on weights that may not belong to it.
inline Bytes join(const Bytes& header, const Bytes& weights) {
  Bytes body = header;
  body.insert(body.end(), weights.begin(), weights.end());
  return with_hash(body);
}

}  // namespace pg
