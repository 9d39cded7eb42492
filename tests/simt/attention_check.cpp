#include "tests/simt/attention_check.h"

#include <algorithm>

#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {
namespace {

using kernels::AttentionSizes;

size_t at(int64_t i) { return static_cast<size_t>(i); }

// Values, the sums of the absolute values of their terms, and of what those are differences of.
struct Sums {
  std::vector<double> value, size, parts;
  explicit Sums(int64_t count)
      : value(at(count), 0.0), size(at(count), 0.0), parts(at(count), 0.0) {}
  void add(int64_t i, double term, double parts_of_term = 0.0) {
    value[at(i)] += term;
    size[at(i)] += std::abs(term);
    parts[at(i)] += std::max(std::abs(term), std::abs(parts_of_term));
  }
};

// Terms are rounded to T before they are added up, and the result once more; what else is lost is of
// f32: some units of the scores, in exponents, and of the parts of a difference.
template <class T>
std::vector<double> bounds(const Sums& sums) {
  std::vector<double> bound(sums.value.size());
  for (size_t i = 0; i < bound.size(); ++i) {
    bound[i] = kRounding<T> * (sums.size[i] + std::abs(sums.value[i])) +
               500 * kF32Rounding * sums.parts[i] + 1e-6;
  }
  return bound;
}

template <class T>
class Problem {
 public:
  explicit Problem(const AttentionCase& shape)
      : shape_(shape),
        s_(shape.sizes),
        q(normal_values<T>(q_count(), 1.0, 1)),
        k(normal_values<T>(s_.batch * s_.keys() * s_.kv_heads * s_.head_dim, 1.0, 2)),
        v(normal_values<T>(v_count(), 1.0, 3)),
        dy(normal_values<T>(q_count(), 1.0, 4)),
        y_sums(q_count()),
        dq_sums(q_count()),
        dk_sums(static_cast<int64_t>(k.size())),
        dv_sums(v_count()) {
    compute_forward();
    if (s_.first == 0) compute_backward();
  }

  int64_t q_count() const { return s_.batch * s_.tokens * s_.heads * s_.head_dim; }
  int64_t v_stride() const { return s_.kv_heads * s_.head_dim + shape_.gap; }
  int64_t v_count() const { return s_.batch * s_.keys() * v_stride(); }
  const AttentionCase& shape() const { return shape_; }

 private:
  const AttentionCase& shape_;
  const AttentionSizes& s_;

  struct Query {
    int64_t batch, head, token, q, lse;
  };
  template <class Body>
  void for_each_query(const Body& body) const {
    for (int64_t b = 0; b < s_.batch; ++b) {
      for (int64_t h = 0; h < s_.heads; ++h) {
        for (int64_t t = 0; t < s_.tokens; ++t) {
          body(Query{b, h, t, ((b * s_.tokens + t) * s_.heads + h) * s_.head_dim,
                     (b * s_.heads + h) * s_.tokens + t});
        }
      }
    }
  }
  // Where the key head of a query has row j of k, and of v.
  int64_t k_place(const Query& query, int64_t j) const {
    const int64_t head = query.head / (s_.heads / s_.kv_heads);
    return ((query.batch * s_.keys() + j) * s_.kv_heads + head) * s_.head_dim;
  }
  int64_t v_place(const Query& query, int64_t j) const {
    const int64_t head = query.head / (s_.heads / s_.kv_heads);
    return (query.batch * s_.keys() + j) * v_stride() + head * s_.head_dim;
  }
  int64_t first_key(const Query& query) const {
    if (shape_.starts.empty()) return 0;
    return shape_.starts[at(query.batch * s_.tokens + query.token)];
  }
  double dot(const std::vector<T>& a, int64_t ia, const std::vector<T>& b, int64_t ib) const {
    double sum = 0.0;
    for (int64_t d = 0; d < s_.head_dim; ++d)
      sum += as_double(a[at(ia + d)]) * as_double(b[at(ib + d)]);
    return sum;
  }

  void compute_forward() {
    for_each_query([&](const Query& query) {
      std::vector<double> scores;
      double total = 0.0;
      const int64_t begin = first_key(query);
      for (int64_t j = begin; j <= s_.first + query.token; ++j) {
        scores.push_back(s_.scale * dot(q, query.q, k, k_place(query, j)));
        total += std::exp(scores.back());
      }
      lse.push_back(static_cast<float>(std::log(total)));
      for (size_t j = 0; j < scores.size(); ++j) {
        for (int64_t d = 0; d < s_.head_dim; ++d) {
          const int64_t key = begin + static_cast<int64_t>(j);
          const double value = as_double(v[at(v_place(query, key) + d)]);
          y_sums.add(query.q + d, std::exp(scores[j]) / total * value);
        }
      }
    });
    for (const double value : y_sums.value) y.push_back(T(static_cast<float>(value)));
  }
  void compute_backward() {
    for_each_query([&](const Query& query) {
      const double delta = dot(dy, query.q, y, query.q);
      for (int64_t j = first_key(query); j <= query.token; ++j) {
        const int64_t kj = k_place(query, j), vj = v_place(query, j);
        const double p = std::exp(s_.scale * dot(q, query.q, k, kj) - lse[at(query.lse)]);
        const double dp = dot(dy, query.q, v, vj), ds = s_.scale * p * (dp - delta);
        const double parts = s_.scale * p * (std::abs(dp) + std::abs(delta));
        for (int64_t d = 0; d < s_.head_dim; ++d) {
          dq_sums.add(query.q + d, ds * as_double(k[at(kj + d)]), parts * as_double(k[at(kj + d)]));
          dk_sums.add(kj + d, ds * as_double(q[at(query.q + d)]),
                      parts * as_double(q[at(query.q + d)]));
          dv_sums.add(vj + d, p * as_double(dy[at(query.q + d)]));
        }
      }
    });
  }

 public:
  std::vector<T> q, k, v, dy, y;
  std::vector<float> lse;
  Sums y_sums, dq_sums, dk_sums, dv_sums;
};

// An output of a kernel: what it held before, and what it should hold after.
template <class T>
class Output {
 public:
  // Rows of `cols` elements lie `stride` apart; those between are to be left alone.
  Output(const char* name, const Sums& sums, int64_t cols, int64_t stride, bool accumulate,
         size_t offset)
      : name_(name),
        want_(sums.value),
        bound_(bounds<T>(sums)),
        before_(accumulate ? normal_values<T>(static_cast<int64_t>(want_.size()), 1.0, 9)
                           : std::vector<T>(want_.size(), T(0.0f))),
        accumulate_(accumulate),
        array_(before_, offset) {
    for (size_t i = 0; i < want_.size(); ++i) {
      const double old = as_double(before_[i]);
      const bool is_gap = static_cast<int64_t>(i) % stride >= cols;
      if (accumulate || is_gap) want_[i] += old;
      bound_[i] = is_gap ? 0.0 : bound_[i] + kRounding<T> * std::abs(old);
    }
  }

  kernels::Dest<T> dest() const { return {array_.data(), accumulate_}; }
  std::string check(SameBytes& same) const {
    const std::vector<T> got = array_.fetch();
    std::string error = compare(name_, got, want_, bound_);
    if (error.empty()) error = same.check(name_, got);
    if (error.empty() && !array_.are_guards_intact()) error = "guard overwritten";
    return error;
  }

 private:
  const char* name_;
  std::vector<double> want_, bound_;
  std::vector<T> before_;
  bool accumulate_;
  DeviceArray<T> array_;
};

// The sizes of a case with its starts on the device.
class SizesOnDevice {
 public:
  explicit SizesOnDevice(const AttentionCase& shape)
      : starts_(std::vector<int32_t>(shape.starts.begin(), shape.starts.end())),
        sizes_(shape.sizes) {
    if (!shape.starts.empty()) sizes_.starts = starts_.data();
  }
  const AttentionSizes& sizes() const { return sizes_; }

 private:
  DeviceArray<int32_t> starts_;
  AttentionSizes sizes_;
};

template <class T>
std::string check_forward(const AttentionForward<T>& family, const Problem<T>& p) {
  const SizesOnDevice on_device(p.shape());
  const AttentionSizes& s = on_device.sizes();
  const DeviceArray<T> q(p.q), k(p.k), v(p.v);
  const int64_t cols = s.heads * s.head_dim;
  SameBytes same;
  return for_each_schedule([&]() -> std::string {
    const Output<T> y("y", p.y_sums, cols, cols, p.shape().accumulate, p.shape().offset);
    const DeviceArray<float> lse(std::vector<float>(p.lse.size(), NAN));
    family.launch(y.dest(), {lse.data(), false}, q.data(), k.data(), v.data(), p.v_stride(), s,
                  nullptr);
    std::string error = y.check(same);
    if (!error.empty()) return error;
    const std::vector<float> got = lse.fetch();
    std::vector<double> bound;
    for (const float value : p.lse) bound.push_back(1e-5 + 8 * kF32Rounding * std::abs(value));
    error = compare("lse", got, {p.lse.begin(), p.lse.end()}, bound);
    if (error.empty()) error = same.check("lse", got);
    return error.empty() && !lse.are_guards_intact() ? "guard of lse overwritten" : error;
  });
}

template <class T>
std::string check_backward(const AttentionBackward<T>& family, const Problem<T>& p) {
  const AttentionCase& shape = p.shape();
  const SizesOnDevice on_device(shape);
  const AttentionSizes& s = on_device.sizes();
  const DeviceArray<T> q(p.q), k(p.k), v(p.v), dy(p.dy), y(p.y);
  const DeviceArray<float> lse(p.lse), delta(std::vector<float>(p.lse.size(), NAN));
  const int64_t q_cols = s.heads * s.head_dim, k_cols = s.kv_heads * s.head_dim;
  SameBytes same;
  return for_each_schedule([&]() -> std::string {
    const Output<T> dq("dq", p.dq_sums, q_cols, q_cols, shape.accumulate, shape.offset);
    const Output<T> dk("dk", p.dk_sums, k_cols, k_cols, shape.accumulate, shape.offset);
    const Output<T> dv("dv", p.dv_sums, k_cols, p.v_stride(), shape.accumulate, shape.offset);
    family.launch(dq.dest(), dk.dest(), dv.dest(), p.v_stride(), dy.data(), y.data(), lse.data(),
                  q.data(), k.data(), v.data(), p.v_stride(), delta.data(), s, nullptr);
    for (const Output<T>* output : {&dq, &dk, &dv}) {
      if (const std::string error = output->check(same); !error.empty()) return error;
    }
    return delta.are_guards_intact() ? "" : "guard of delta overwritten";
  });
}

}  // namespace

template <class T>
std::string check_attention(const AttentionForward<T>& family, const AttentionCase& shape) {
  return check_forward(family, Problem<T>(shape));
}
template <class T>
std::string check_attention(const AttentionBackward<T>& family, const AttentionCase& shape) {
  return check_backward(family, Problem<T>(shape));
}

template std::string check_attention(const AttentionForward<float>&, const AttentionCase&);
template std::string check_attention(const AttentionForward<bf16>&, const AttentionCase&);
template std::string check_attention(const AttentionBackward<float>&, const AttentionCase&);
template std::string check_attention(const AttentionBackward<bf16>&, const AttentionCase&);

}  // namespace pg::kerneltest
