#include "tests/simt/embedding_check.h"

#include <algorithm>
#include <numeric>

#include "tests/simt/exact_values.h"

namespace pg::kerneltest {
namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }

// One id has a quarter of the rows, two in the middle have 128 and 129 where there are that many:
// the most that is summed at once, and one more. The rest is drawn, so many ids of a large table
// have no row.
std::vector<int32_t> uneven_ids(const EmbeddingCase& s) {
  const CounterRng rng(20240607, 7);
  std::vector<int32_t> ids(index(s.rows));
  for (int64_t i = 0; i < s.rows; ++i) {
    int64_t id = static_cast<int64_t>(rng.below(index(i), index(s.vocab)));
    if (s.vocab > 4 && (id == s.vocab / 2 || id == s.vocab / 2 + 1)) id = 0;  // see above
    const int64_t turn = i / 8;
    if (i % 8 < 2) id = s.vocab - 1;
    if (i % 8 == 2 && turn < 128) id = s.vocab / 2;
    if (i % 8 == 3 && turn < 129) id = s.vocab / 2 + (s.vocab > 2 ? 1 : 0);
    ids[index(i)] = static_cast<int32_t>(id);
  }
  return ids;
}

template <class T>
std::string check_forward(decltype(&kernels::embed<T>) embed, const EmbeddingCase& s) {
  const std::vector<int32_t> ids = uneven_ids(s);
  const std::vector<T> table = small_integers<T>(s.vocab * s.dim, 1);
  std::vector<double> want;
  for (int64_t i = 0; i < s.rows * s.dim; ++i) {
    want.push_back(as_double(table[index(ids[index(i / s.dim)] * s.dim + i % s.dim)]));
  }
  ExactOutput<T> y("y", want, s.accumulate, s.offset);
  return for_each_schedule([&] {
    const DeviceArray<int32_t> device_ids(ids);
    const DeviceArray<T> device_table(table, s.offset);
    embed(y.dest(), device_ids.data(), device_table.data(), s.rows, s.dim, nullptr);
    return y.check();
  });
}

template <class Table, class T>
std::string check_backward(decltype(&kernels::embed_backward<Table, T>) backward,
                           const EmbeddingCase& s) {
  const std::vector<int32_t> ids = uneven_ids(s);
  const std::vector<T> dy = small_integers<T>(s.rows * s.dim, 2);
  std::vector<double> want(index(s.vocab * s.dim), 0.0);
  for (int64_t i = 0; i < s.rows * s.dim; ++i) {
    want[index(ids[index(i / s.dim)] * s.dim + i % s.dim)] += as_double(dy[index(i)]);
  }
  ExactOutput<Table> dtable("dtable", want, s.accumulate, s.offset);
  return for_each_schedule([&] {
    const DeviceArray<int32_t> device_ids(ids);
    const DeviceArray<T> device_dy(dy, s.offset);
    const Scratch<int32_t> id_work(kernels::count_scatter_ids(s.rows, s.vocab));
    const Scratch<float> sum_work(kernels::count_scatter_sums(s.rows, s.dim));
    backward(dtable.dest(), device_ids.data(), device_dy.data(), s.rows, s.vocab, s.dim,
             id_work.data(), sum_work.data(), nullptr);
    return dtable.check();
  });
}

}  // namespace

std::string check_sort(const SortFamily& family, const EmbeddingCase& s) {
  const std::vector<int32_t> ids = uneven_ids(s);
  std::vector<int32_t> want_rows(ids.size()), want_ids, want_starts;
  std::iota(want_rows.begin(), want_rows.end(), 0);
  std::stable_sort(want_rows.begin(), want_rows.end(),
                   [&](int32_t a, int32_t b) { return ids[index(a)] < ids[index(b)]; });
  for (const int32_t row : want_rows) want_ids.push_back(ids[index(row)]);
  for (int32_t v = 0; v <= s.vocab; ++v) {
    const auto start = std::lower_bound(want_ids.begin(), want_ids.end(), v);
    want_starts.push_back(static_cast<int32_t>(start - want_ids.begin()));
  }
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<int32_t> device_ids(ids);
    const Scratch<int32_t> work(kernels::count_sort_values(s.rows, s.vocab));
    const kernels::SortedIds sorted =
        family.sort(work.data(), device_ids.data(), s.rows, s.vocab, nullptr);
    const auto holds = [](const int32_t* device, const std::vector<int32_t>& want) {
      std::vector<int32_t> got(want.size());
      download(got.data(), device, got.size() * sizeof(int32_t));
      return got == want;
    };
    if (!holds(sorted.ids, want_ids)) return "ids are not sorted";
    if (!holds(sorted.rows, want_rows)) return "rows are not those of the sorted ids, in order";
    return holds(sorted.starts, want_starts) ? "" : "starts are off";
  });
}

std::string check_embedding(const EmbeddingFamily& family, const EmbeddingCase& shape) {
  std::string error = check_forward<float>(family.embed_f32, shape);
  if (error.empty()) error = check_forward<bf16>(family.embed_bf16, shape);
  if (error.empty()) error = check_backward<float, float>(family.backward_f32, shape);
  if (error.empty()) error = check_backward<float, bf16>(family.backward_bf16, shape);
  if (error.empty()) error = check_backward<bf16, bf16>(family.backward_of_bf16_table, shape);
  return error;
}

std::string check_bigram_hash(const BigramHashFamily& family, const BigramHashCase& s) {
  const int64_t before = s.trigram ? 2 : 1;
  // Of any size, so that products wrap; those in front of the first row too.
  const CounterRng rng(20240607, 11);
  std::vector<int32_t> ids(index(before + s.rows));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(rng.below(i, 200000));
  std::vector<double> want;
  for (int64_t row = 0; row < s.rows; ++row) {
    const int64_t modulus = s.buckets - 1;
    if ((s.first + row) % s.tokens < before) {
      want.push_back(static_cast<double>(modulus));
      continue;
    }
    const auto product = [&](uint32_t factor, int64_t back) {
      return factor * static_cast<uint32_t>(ids[index(before + row - back)]);
    };
    const uint32_t mixed =
        product(36313, 0) ^ product(27191, 1) ^ (s.trigram ? product(51497, 2) : 0);
    const int64_t value = static_cast<int32_t>(mixed);
    want.push_back(static_cast<double>(((value % modulus) + modulus) % modulus));
  }
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<int32_t> device_ids(ids), hashed(std::vector<int32_t>(want.size(), -1));
    family.hash(hashed.data(), device_ids.data() + before, s.rows, s.tokens, s.buckets, s.first,
                s.trigram, nullptr);
    if (!hashed.are_guards_intact()) return "writes outside its output";
    const std::vector<int32_t> got = hashed.fetch();
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] != want[i]) return "bucket " + std::to_string(i) + " is " + std::to_string(got[i]);
    }
    return "";
  });
}

}  // namespace pg::kerneltest
