// Embedding gathers and the bigram hash.
#include <cstring>

#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

using namespace cpu;

void CpuOps::embed(Out y, In ids, In table, int64_t rows, int64_t dim) {
  const auto* const id = ids.as<int32_t>();
  with_activation_type(table.dtype, [&]<class T>() {
    const T* const entries = table.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const entry = entries + id[row] * dim;
        if (y.accumulate) {
          write<T>(y, row * dim, dim, [=](int64_t i) { return static_cast<float>(entry[i]); });
        } else {
          std::memcpy(y.as<T>() + row * dim, entry, static_cast<size_t>(dim) * sizeof(T));
        }
      }
    });
  });
}

void CpuOps::bigram_hash(Out hashed, In ids, int64_t rows, int64_t tokens, int64_t buckets,
                         int64_t first, bool trigram) {
  constexpr uint32_t kHashThis = 36313, kHashPrevious = 27191;  // formulas.md 2.2
  PG_CHECK(buckets >= 2, "bigram_hash needs a bucket for row starts and one for the rest");
  const auto modulus = static_cast<int32_t>(buckets - 1);
  const auto* const id = ids.as<int32_t>();
  auto* const out = hashed.as<int32_t>();
  parallel_ranges(rows, kChunkElements, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t place = (first + row) % tokens;
      bool is_short = place == 0;
      // <parts>
      is_short |= trigram && place == 1;
      // </parts>
      if (is_short) {
        out[row] = modulus;
        continue;
      }
      auto mixed = static_cast<int32_t>((kHashThis * static_cast<uint32_t>(id[row])) ^
                                        (kHashPrevious * static_cast<uint32_t>(id[row - 1])));
      // <parts>
      if (trigram) mixed ^= static_cast<int32_t>(51497u * static_cast<uint32_t>(id[row - 2]));
      // </parts>
      // Ids above 59136 wrap to negative products; the remainder stays a bucket.
      const int32_t remainder = mixed % modulus;
      out[row] = remainder < 0 ? remainder + modulus : remainder;
    }
  });
}

}  // namespace pg
