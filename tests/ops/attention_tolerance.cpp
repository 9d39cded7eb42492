// The derivation, per query row t with scores s_j = scale q . k_j and probabilities p_j = exp(s_j -
// lse):
//
//   score    errs by (sum_units(S) + 2) units of a_j = scale sum |q_d k_jd|: the sum, the products,
//   the scale; exponent s_j - m (or - lse) rounds once more, relative to |s_j| + |m|; p_j      errs
//   relatively by the exponent's absolute error plus kExpUnits, plus the rescaling of an online
//   softmax,
//            which multiplies by an exponential once per block of keys;
//   P, dS    may be stored in the compute type before they are multiplied (FlashAttention does):
//   every term of
//            such a sum then errs by one unit of the compute type, which is unit * min(sum |terms|,
//            6 |terms|_2).
//   dk, dv   of a library are sums of what each query head gives, which it rounds to the compute type
//            before it adds them: one unit of each.
#include "tests/ops/attention_tolerance.h"

#include <algorithm>
#include <cmath>

#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

// Keys that an online softmax takes at a time, at least.
constexpr int64_t kMinKeyBlock = 16;

size_t index(int64_t i) { return static_cast<size_t>(i); }

// A sum of terms that are stored in the compute type: the sum of |terms| and of their squares.
struct TermNorms {
  Values sum, squares;
  explicit TermNorms(size_t count) : sum(count, 0.0), squares(count, 0.0) {}
  void add(size_t i, double term) {
    sum[i] += std::abs(term);
    squares[i] += term * term;
  }
  // Rounding of the terms, and sum_units(n) of f32 for adding n of them up (and one for each
  // product).
  double error(size_t i, double compute_unit, int64_t n) const {
    return rounded_terms_error(compute_unit, sum[i], squares[i]) +
           kUnitF32 * (sum_units(n) + 1) * sum[i];
  }
};

struct QueryRow {
  int64_t b, h, t;  // t: its position
  size_t q;         // of q_t, y_t in [N, H*S]
  size_t lse;       // in [B, H, T]
  int64_t begin;    // the first key that it sees
};

class Geometry {
 public:
  Geometry(const Problem& p, const AttentionShape& shape) : s(shape) {
    if (p.has("starts")) starts_ = &p.in("starts");
  }
  size_t kv(const QueryRow& row, int64_t j) const {
    const int64_t kv_head = row.h / (s.heads / s.kv_heads);
    return index(((row.b * s.keys() + j) * s.kv_heads + kv_head) * s.head_dim);
  }
  template <class Body>
  void for_each_row(const Body& body) const {
    for (int64_t b = 0; b < s.batch; ++b) {
      for (int64_t t = 0; t < s.tokens; ++t) {
        for (int64_t h = 0; h < s.heads; ++h) {
          body(QueryRow{b, h, s.first + t, index(((b * s.tokens + t) * s.heads + h) * s.head_dim),
                        index((b * s.heads + h) * s.tokens + t), first_key(b, t)});
        }
      }
    }
  }
  const AttentionShape& s;

 private:
  int64_t first_key(int64_t b, int64_t t) const {
    return starts_ == nullptr ? 0 : static_cast<int64_t>((*starts_)[index(b * s.tokens + t)]);
  }
  const Values* starts_ = nullptr;  // of packed rows
};

// What each query head gives to the gradients of its key head: as many values as there would be with
// a key head for each; none where they are added up unrounded.
class HeadParts {
 public:
  HeadParts(const Problem& p, const AttentionShape& shape) : s_(shape) {
    const bool is_grouped = shape.heads > shape.kv_heads;
    if (p.is_by_library && is_grouped) {
      count_ = index(shape.batch * shape.keys() * shape.heads * shape.head_dim);
    }
  }
  size_t count() const { return count_; }
  size_t place(const QueryRow& row, int64_t j) const {
    return index(((row.b * s_.keys() + j) * s_.heads + row.h) * s_.head_dim);
  }
  // The element of dk or dv that part i is added to.
  size_t sum_of(size_t i) const {
    const auto part = static_cast<int64_t>(i);
    const int64_t d = part % s_.head_dim, head = part / s_.head_dim % s_.heads;
    const int64_t kv_row = part / s_.head_dim / s_.heads;
    return index((kv_row * s_.kv_heads + head / (s_.heads / s_.kv_heads)) * s_.head_dim + d);
  }

 private:
  const AttentionShape& s_;
  size_t count_ = 0;
};

struct Dot {
  double value = 0.0, magnitude = 0.0;
};
Dot dot(const Values& a, size_t ia, const Values& b, size_t ib, int64_t count) {
  Dot result;
  for (size_t d = 0; d < index(count); ++d) {
    result.value += a[ia + d] * b[ib + d];
    result.magnitude += std::abs(a[ia + d] * b[ib + d]);
  }
  return result;
}

// The scores of one row and the largest |s_j| and a_j.
struct Scores {
  Values s;
  double max_score = 0.0, max_magnitude = 0.0;
};
Scores scores_of(const Problem& p, const Geometry& g, const QueryRow& row) {
  Scores scores;
  for (int64_t j = row.begin; j <= row.t; ++j) {
    const Dot d = dot(p.in("q"), row.q, p.in("k"), g.kv(row, j), g.s.head_dim);
    scores.s.push_back(g.s.scale * d.value);
    scores.max_score = std::max(scores.max_score, std::abs(scores.s.back()));
    scores.max_magnitude = std::max(scores.max_magnitude, std::abs(g.s.scale) * d.magnitude);
  }
  return scores;
}

// Relative error of a probability, in units of f32.
double probability_units(const Scores& scores, const AttentionShape& s) {
  const double exponent = (sum_units(s.head_dim) + 2) * scores.max_magnitude + 2 * scores.max_score;
  const int64_t blocks = s.keys() / kMinKeyBlock + 1;
  return exponent + kExpUnits + sum_units(blocks) * (kExpUnits + 1);
}

}  // namespace

AttentionErrors attention_errors(const Problem& p, const AttentionShape& shape) {
  const Geometry g(p, shape);
  TermNorms y_terms(p.in("q").size());
  AttentionErrors errors{Values(y_terms.sum.size()), Values(index(shape.rows() * shape.heads))};
  g.for_each_row([&](const QueryRow& row) {
    const Scores scores = scores_of(p, g, row);
    const double lse = p.want("lse")[row.lse];
    for (int64_t j = row.begin; j <= row.t; ++j) {
      const double probability = std::exp(scores.s[index(j - row.begin)] - lse);
      for (size_t d = 0; d < index(shape.head_dim); ++d) {
        y_terms.add(row.q + d, probability * p.in("v")[g.kv(row, j) + d]);
      }
    }
    // Relative errors of the numerators and of their sum, the denominator, which adds up row.t + 1
    // of them.
    const double p_units = probability_units(scores, shape);
    const double denominator_units = p_units + sum_units(row.t + 1) + 1;
    for (size_t i = row.q; i < row.q + index(shape.head_dim); ++i) {
      errors.y[i] = y_terms.error(i, p.compute_unit, row.t + 1) +
                    kUnitF32 * (p_units + denominator_units) * y_terms.sum[i];
    }
    // The logarithm's own error and the sum m + log l.
    errors.lse[row.lse] = kUnitF32 * (denominator_units + 3 * std::abs(lse) + scores.max_score + 2);
  });
  return errors;
}

AttentionBackwardErrors attention_backward_errors(const Problem& p, const AttentionShape& shape) {
  const Geometry g(p, shape);
  const size_t q_count = p.in("q").size(), kv_count = p.in("k").size();
  TermNorms dq_terms(q_count), dk_terms(kv_count), dv_terms(kv_count);
  AttentionBackwardErrors errors{Values(q_count), Values(kv_count), Values(kv_count)};
  const HeadParts parts(p, shape);
  Values dk_parts(parts.count(), 0.0), dv_parts(parts.count(), 0.0);
  const double scale = std::abs(shape.scale);
  const double dot_units = sum_units(shape.head_dim) + 2;
  g.for_each_row([&](const QueryRow& row) {
    const Scores scores = scores_of(p, g, row);
    const double lse = p.in("lse")[row.lse];
    const double p_units = probability_units(scores, shape) + std::abs(lse);
    const Dot dy_y = dot(p.in("dy"), row.q, p.in("y"), row.q, shape.head_dim);
    for (int64_t j = row.begin; j <= row.t; ++j) {
      const size_t ik = g.kv(row, j);
      const double probability = std::exp(scores.s[index(j - row.begin)] - lse);
      const Dot dp = dot(p.in("dy"), row.q, p.in("v"), ik, shape.head_dim);
      const double ds = probability * (dp.value - dy_y.value);
      // ds = p (dp - dy.y): the error of p, of both dot products, and two roundings
      const double ds_error =
          kUnitF32 * ((p_units + 2) * std::abs(ds) +
                      probability * dot_units * (dp.magnitude + dy_y.magnitude));
      const double p_error = kUnitF32 * p_units * probability;
      for (size_t d = 0; d < index(shape.head_dim); ++d) {
        const double q = p.in("q")[row.q + d], k = p.in("k")[ik + d], dy = p.in("dy")[row.q + d];
        dq_terms.add(row.q + d, scale * ds * k);
        dk_terms.add(ik + d, scale * ds * q);
        dv_terms.add(ik + d, probability * dy);
        if (parts.count() > 0) {
          dk_parts[parts.place(row, j) + d] += scale * ds * q;
          dv_parts[parts.place(row, j) + d] += probability * dy;
        }
        errors.dq[row.q + d] += scale * ds_error * std::abs(k);
        errors.dk[ik + d] += scale * ds_error * std::abs(q);
        errors.dv[ik + d] += p_error * std::abs(dy);
      }
    }
  });
  // Keys and values add up over all queries of their group of heads.
  const int64_t group_rows = shape.tokens * (shape.heads / shape.kv_heads);
  for (size_t i = 0; i < q_count; ++i) {
    errors.dq[i] += dq_terms.error(i, p.compute_unit, shape.tokens + 1);
  }
  for (size_t i = 0; i < kv_count; ++i) {
    errors.dk[i] += dk_terms.error(i, p.compute_unit, group_rows + 1);
    errors.dv[i] += dv_terms.error(i, p.compute_unit, group_rows + 1);
  }
  for (size_t i = 0; i < parts.count(); ++i) {
    errors.dk[parts.sum_of(i)] += p.compute_unit * std::abs(dk_parts[i]);
    errors.dv[parts.sum_of(i)] += p.compute_unit * std::abs(dv_parts[i]);
  }
  return errors;
}

}  // namespace pg::optest
