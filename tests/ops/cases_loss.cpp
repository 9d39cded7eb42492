// Cases of the softcapped cross-entropy and log probabilities.
#include <cmath>

#include "src/base/rng.h"
#include "src/device/reference/reference_ops.h"
#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }

constexpr float kSides[2] = {4.0f, 6.0f};

struct LossShape {
  int64_t rows, vocab, n;
  float cap = 30.0f;
  double logit_scale = 5.0;
  bool has_skipped = false;          // some targets negative, every fifth row entirely
  float shift = 0.0f, width = 0.0f;  // width 0: cap
  float z_loss = 0.0f;
  bool has_row_weights = false;
  bool has_sides = false;  // caps of kSides instead

  bool has_own_width() const { return width > 0 || has_sides; }
  // A bound of |c| for logits of this scale.
  double bound() const { return cap > 0 ? static_cast<double>(cap) : 6 * logit_scale; }
  double ratio() const { return cap > 0 && width > 0 ? static_cast<double>(cap / width) : 1.0; }
  double cap_of(double z) const {
    return static_cast<double>(has_sides ? kSides[z > 0 ? 0 : 1] : cap);
  }
  double capped(double z) const {
    if (cap == 0) return z;
    if (has_sides) return cap_of(z) * std::tanh(z / cap_of(z));
    const float divisor = width > 0 ? width : cap;
    return cap * std::tanh((z + shift) / divisor);
  }
  // dc/dz, that of a tanh alone.
  double slope(double z) const {
    const double t = cap == 0 ? 0.0 : capped(z) / cap_of(z);
    return 1.0 - t * t;
  }
  Softcap form_of_logits() const {
    Softcap form = cap;
    form.shift = shift;
    if (width > 0) form.width = width;
    return form;
  }
  Softcap form(const Args& a) const {
    Softcap form = form_of_logits();
    form.z_loss = z_loss;
    if (has_row_weights) form.row_weights = a.in("row_weights");
    if (has_sides) form.sides = a.in("sides");
    return form;
  }
};

std::string describe_loss(const LossShape& s) {
  return describe({{"rows", s.rows}, {"vocab", s.vocab}, {"targets", s.n}}) +
         " cap=" + std::to_string(s.cap) + " logits=" + std::to_string(s.logit_scale) +
         (s.has_skipped ? " some skipped" : "") +
         (s.width > 0 ? " shift=" + std::to_string(s.shift) + " width=" + std::to_string(s.width)
                      : "") +
         (s.z_loss > 0 ? " z_loss=" + std::to_string(s.z_loss) : "") +
         (s.has_row_weights ? " row weights" : "") + (s.has_sides ? " sides" : "");
}

Fill targets_of(const LossShape& s) {
  return [=](const Problem& p, int64_t count, uint64_t seed) {
    Values targets = ids_below(s.vocab)(p, count, seed);
    for (int64_t i = 0; s.has_skipped && i < count; ++i) {
      const bool is_whole_row = i / s.n % 5 == 2;
      if (is_whole_row || i % 3 == 1) targets[index(i)] = i % 2 == 0 ? -1.0 : -100.0;
    }
    return targets;
  };
}

// 1, 1/2, 1/4, ... as in multi-token prediction
Values weights_of(int64_t n) {
  Values weights(index(n));
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = std::ldexp(1.0, -static_cast<int>(i));
  return weights;
}

// Sum of the live weights of a row, and of w |c[y]|.
struct RowTargets {
  double weight = 0.0, weighted_logits = 0.0;
};
RowTargets row_targets(const Problem& p, const LossShape& s, int64_t row) {
  RowTargets result;
  for (int64_t i = 0; i < s.n; ++i) {
    const double y = p.in("targets")[index(row * s.n + i)];
    if (y < 0) continue;
    const double z = p.in("logits")[index(row * s.vocab + static_cast<int64_t>(y))];
    result.weight += p.in("weights")[index(i)];
    result.weighted_logits += p.in("weights")[index(i)] * std::abs(s.capped(z));
  }
  return result;
}

// c = cap tanh(z / cap): kTanhUnits for the tanh, one for the argument (x tanh'(x) <= 0.45), one
// for the product; one more for a shifted argument. Without a cap c is z.
double capped_logit_units(const LossShape& s) {
  return s.cap > 0 ? (kTanhUnits + (s.has_own_width() ? 3 : 2)) * s.cap : 0.0;
}

// 1, 3/4, 1/2, 1/4, ...: of rows.
Values row_weights_of(const LossShape& s) {
  Values weights(index(s.rows), 1.0);
  for (int64_t r = 0; s.has_row_weights && r < s.rows; ++r) {
    weights[index(r)] = 1.0 - 0.25 * static_cast<double>(r % 4);
  }
  return weights;
}

// lse = m + log sum exp(c - m): c, c - m (relative to twice the bound), exp, the sum of V terms, the
// log, the sum with m.
double lse_units(const LossShape& s, double lse) {
  return capped_logit_units(s) + 3 * s.bound() + kExpUnits + sum_units(s.vocab) +
         3 * std::abs(lse) + 2;
}

Values lse_errors(const Problem& p, const LossShape& s) {
  Values errors(index(s.rows));
  for (size_t r = 0; r < errors.size(); ++r) errors[r] = kUnitF32 * lse_units(s, p.want("lse")[r]);
  return errors;
}

// loss = r (W lse - sum_i w_i c_i) + z lse^2: the errors of lse and c, and n + 1 products and sums;
// then that of the row's weight, twice that of lse, and three more.
Values loss_errors(const Problem& p, const LossShape& s) {
  Values errors(index(s.rows));
  const Values row_weights = row_weights_of(s);
  for (int64_t r = 0; r < s.rows; ++r) {
    const RowTargets targets = row_targets(p, s, r);
    const double lse = p.want("lse")[index(r)];
    const double size = targets.weight * std::abs(lse) + targets.weighted_logits;
    const double units = targets.weight * (lse_units(s, lse) + capped_logit_units(s)) +
                         static_cast<double>(2 * s.n + (s.has_row_weights ? 3 : 2)) * size;
    const double of_z = std::abs(lse) * (2 * lse_units(s, lse) + 3 * std::abs(lse));
    errors[index(r)] = kUnitF32 * (row_weights[index(r)] * units + s.z_loss * of_z);
    if (s.z_loss > 0) errors[index(r)] += kUnitF32 * std::abs(p.want("loss")[index(r)]);
  }
  return errors;
}

// dz = dloss (W p - sum_i w_i 1[y_i]) dc/dz, with r W + 2 z lse for W and r w_i for w_i: p errs by the
// error of c - lse and exp, the bracket by n + 2 roundings, and four of what is put in for W and w_i;
// 1 - t^2 absolutely by twice that of t and two roundings, and one of the slope at the middle.
// Calls body(i, z, dc, error) for each logit: dc = dL/dc without dloss, and its error in units.
template <class Body>
void for_each_score(const Problem& p, const LossShape& s, const Body& body) {
  const Values row_weights = row_weights_of(s);
  const double more = s.has_row_weights || s.z_loss > 0 ? 4 : 0;
  for (int64_t r = 0; r < s.rows; ++r) {
    const double lse = p.in("lse")[index(r)], row_weight = row_weights[index(r)];
    double weight = row_targets(p, s, r).weight;
    weight = row_weight * weight + (weight != 0 ? 2 * s.z_loss * std::abs(lse) : 0.0);
    const double p_units = capped_logit_units(s) + s.bound() + std::abs(lse) + kExpUnits;
    for (int64_t j = 0; j < s.vocab; ++j) {
      const size_t i = index(r * s.vocab + j);
      const double z = p.in("logits")[i];
      double hit = 0.0;
      for (int64_t k = 0; k < s.n; ++k) {
        const bool is_target = p.in("targets")[index(r * s.n + k)] == static_cast<double>(j);
        if (is_target) hit += row_weight * p.in("weights")[index(k)];
      }
      const double expected = weight * std::exp(s.capped(z) - lse);
      body(i, z, expected - hit,
           p_units * expected + (static_cast<double>(s.n + 2) + more) * (expected + hit));
    }
  }
}

Values dlogits_errors(const Problem& p, const LossShape& s, double dloss) {
  Values errors(index(s.rows * s.vocab));
  for_each_score(p, s, [&](size_t i, double z, double dc, double dc_units) {
    const double t = s.cap > 0 ? std::abs(s.capped(z) / s.cap_of(z)) : 0.0;
    const double slope_error = 2 * (kTanhUnits + 1) * t + (s.has_own_width() ? 4 : 2);
    errors[i] = kUnitF32 * std::abs(dloss) * s.ratio() *
                (dc_units * s.slope(z) + std::abs(dc) * (slope_error + 2));
  });
  return errors;
}

// ds = sum dloss dc (t - u (1 - t^2)), u = z/s: t errs by that of tanh and its argument, 1 - t^2 as in
// dlogits, what it is multiplied by and the difference by a rounding each; then the sum.
Values dsides_errors(const Problem& p, const LossShape& s, double dloss) {
  Values errors(2);
  for_each_score(p, s, [&](size_t, double z, double dc, double dc_units) {
    const double u = std::abs(z) / s.cap_of(z), t = std::abs(s.capped(z)) / s.cap_of(z);
    const double of_side = t - u * s.slope(z);
    const double units = kTanhUnits + 3 + u * (2 * (kTanhUnits + 1) * t + 6);
    errors[z > 0 ? 0 : 1] += kUnitF32 * std::abs(dloss) *
                             (dc_units * std::abs(of_side) + std::abs(dc) * units +
                              (sum_units(s.rows * s.vocab) + 2) * std::abs(dc * of_side));
  });
  return errors;
}

// The operands of all three, but lse and dloss.
std::vector<Operand> loss_inputs(const LossShape& s) {
  std::vector<Operand> inputs = {
      input_f32("logits", s.rows * s.vocab, normal(s.logit_scale)),
      {"targets", Role::kIn, Kind::kI32, s.rows * s.n, targets_of(s), {}},
      input_f32("weights", s.n, fixed(weights_of(s.n))),
      input_f32("row_weights", s.rows, fixed(row_weights_of(s)))};
  if (s.has_sides) inputs.push_back(input_f32("sides", 2, fixed({kSides[0], kSides[1]})));
  return inputs;
}

std::vector<Operand> with_more(std::vector<Operand> operands, std::vector<Operand> more) {
  operands.insert(operands.end(), more.begin(), more.end());
  return operands;
}

void call_sides_backward(Ops& ops, const Args& a, const LossShape& s) {
  ops.softcap_xent_sides_backward(a.out("dsides"), a.in("logits"), a.in("lse"), a.in("targets"),
                                  a.in("weights"), a.in("dloss"), s.form(a), s.rows, s.vocab, s.n);
}

OpCase softcap_xent_case(const LossShape& s) {
  return {
      OpId::kSoftcapXent,
      describe_loss(s),
      with_more(loss_inputs(s),
                {input_f32("dloss", 1, fixed({kConstantCotangent})),  // for the gradient alone
                 output_f32("loss", s.rows, [=](const Problem& p) { return loss_errors(p, s); }),
                 output_f32("lse", s.rows, [=](const Problem& p) { return lse_errors(p, s); })}),
      [=](Ops& ops, const Args& a) {
        ops.softcap_xent(a.out("loss"), a.out("lse"), a.in("logits"), a.in("targets"),
                         a.in("weights"), s.form(a), s.rows, s.vocab, s.n);
      },
      {{"loss"},
       s.has_sides ? std::vector<std::string>{"logits", "sides"}
                   : std::vector<std::string>{"logits"},
       [=](Ops& ops, const Args& a) {
         if (s.has_sides) call_sides_backward(ops, a, s);
         ops.softcap_xent_backward(a.out("dlogits"), a.in("logits"), a.in("lse"), a.in("targets"),
                                   a.in("weights"), a.in("dloss"), s.form(a), s.rows, s.vocab, s.n);
       },
       /*is_cotangent_constant=*/true}};
}

Values lse_of(const Problem& p, const LossShape& s) {
  Values lse(index(s.rows));
  const std::vector<int32_t> targets(index(s.rows * s.n), 0);
  Softcap form = s.form_of_logits();
  if (s.has_sides) form.sides = in_of(p.in("sides"));
  ReferenceOps().softcap_xent({}, out_of(lse), in_of(p.in("logits")),
                              In{targets.data(), DType::kI32}, in_of(p.in("weights")), form, s.rows,
                              s.vocab, s.n);
  return lse;
}

std::vector<Operand> backward_inputs(const LossShape& s, float dloss) {
  return with_more(
      loss_inputs(s),
      {input_f32("lse", s.rows, derived([=](const Problem& p) { return lse_of(p, s); })),
       input_f32("dloss", 1, fixed({dloss}))});
}

OpCase softcap_xent_backward_case(const LossShape& s) {
  const float dloss = 1.0f / static_cast<float>(s.rows);
  return {OpId::kSoftcapXentBackward, describe_loss(s),
          with_more(backward_inputs(s, dloss),
                    {output("dlogits", s.rows * s.vocab,
                            [=](const Problem& p) { return dlogits_errors(p, s, dloss); })}),
          [=](Ops& ops, const Args& a) {
            ops.softcap_xent_backward(a.out("dlogits"), a.in("logits"), a.in("lse"),
                                      a.in("targets"), a.in("weights"), a.in("dloss"), s.form(a),
                                      s.rows, s.vocab, s.n);
          }};
}

OpCase softcap_xent_sides_backward_case(const LossShape& s) {
  const float dloss = 1.0f / static_cast<float>(s.rows);
  return {OpId::kSoftcapXentSidesBackward, describe_loss(s),
          with_more(backward_inputs(s, dloss),
                    {output_f32("dsides", 2,
                                [=](const Problem& p) { return dsides_errors(p, s, dloss); })}),
          [=](Ops& ops, const Args& a) { call_sides_backward(ops, a, s); }};
}

// log p_j = c_j - lse, both from c and u = c_j - max (a rounding of at most 2 cap), e^u, and sums in
// f64, which lose nothing that counts. lse errs by the mean error of the exponents at most.
double log_prob_units(const LossShape& s) {
  return 2 * capped_logit_units(s) + 2 * s.bound() + kExpUnits;
}

// H = log sum e^u - sum u e^u / sum e^u. An error d_j of u_j moves H by sum p_j |log p_j + H| d_j <=
// 2 H max d, and H is at most log V; a relative error of e^u by its share of the mass and as much
// as one of u; the product u e^u, f32, by sum p |u| <= H.
double entropy_units(const LossShape& s) {
  const double log_vocab = std::log(static_cast<double>(s.vocab));
  return 2 * log_vocab * (capped_logit_units(s) + 2 * s.bound() + kExpUnits) + kExpUnits +
         log_vocab;
}

OpCase log_probs_case(const LossShape& s) {
  const auto errors = [](int64_t count, double units) {
    return [=](const Problem&) { return Values(index(count), kUnitF32 * units); };
  };
  return {
      OpId::kSoftcapLogProbs,
      describe({{"rows", s.rows}, {"vocab", s.vocab}}) + " cap=" + std::to_string(s.cap) +
          " logits=" + std::to_string(s.logit_scale) +
          (s.width > 0 ? " shift=" + std::to_string(s.shift) + " width=" + std::to_string(s.width)
                       : "") +
          (s.has_sides ? " sides" : ""),
      with_more(
          s.has_sides ? std::vector<Operand>{input_f32("sides", 2, fixed({kSides[0], kSides[1]}))}
                      : std::vector<Operand>{},
          {input_f32("logits", s.rows * s.vocab, normal(s.logit_scale)),
           output_f32("log_probs", s.rows * s.vocab, errors(s.rows * s.vocab, log_prob_units(s))),
           output_f32("entropy", s.rows, errors(s.rows, entropy_units(s)))}),
      [=](Ops& ops, const Args& a) {
        Softcap form = s.form_of_logits();
        if (s.has_sides) form.sides = a.in("sides");
        ops.softcap_log_probs(a.out("log_probs"), a.out("entropy"), a.in("logits"), form, s.rows,
                              s.vocab);
      }};
}

}  // namespace

std::vector<OpCase> loss_cases() {
  std::vector<OpCase> cases;
  const LossShape shapes[] = {
      {.rows = 1, .vocab = 2, .n = 1},
      {.rows = 2, .vocab = 33, .n = 3},
      {.rows = 7, .vocab = 31, .n = 1, .has_skipped = true},
      {.rows = 11, .vocab = 32, .n = 3, .has_skipped = true},
      {.rows = 131, .vocab = 1024, .n = 1},
      {.rows = 67, .vocab = 1024, .n = 3, .has_skipped = true},
      {.rows = 3, .vocab = 5003, .n = 1},
      // Saturated: |z| far beyond the cap, where 1 - t^2 is 0.
      {.rows = 5, .vocab = 257, .n = 1, .logit_scale = 200.0},
      {.rows = 5, .vocab = 65, .n = 3, .cap = 15.0f, .logit_scale = 20.0},
      // Other forms of logits, and what training adds.
      {.rows = 7, .vocab = 67, .n = 1, .cap = 0.0f},
      {.rows = 7, .vocab = 67, .n = 1, .cap = 11.5f, .shift = 5.0f, .width = 15.0f},
      {.rows = 9, .vocab = 129, .n = 2, .has_skipped = true, .z_loss = 0.01f},
      {.rows = 9, .vocab = 129, .n = 2, .has_skipped = true, .has_row_weights = true},
      {.rows = 9,
       .vocab = 40,
       .n = 1,
       .cap = 0.0f,
       .logit_scale = 3.0,
       .z_loss = 0.01f,
       .has_row_weights = true},
      // A cap of each side; more rows than a chunk has.
      {.rows = 7, .vocab = 67, .n = 1, .cap = kSides[1], .has_sides = true},
      {.rows = 40,
       .vocab = 129,
       .n = 2,
       .cap = kSides[1],
       .has_skipped = true,
       .z_loss = 0.01f,
       .has_row_weights = true,
       .has_sides = true},
      {.rows = 5, .vocab = 1500, .n = 1, .cap = kSides[1], .has_sides = true}};
  for (const LossShape& s : shapes) {
    cases.push_back(softcap_xent_case(s));
    cases.push_back(softcap_xent_backward_case(s));
    if (s.has_sides) cases.push_back(softcap_xent_sides_backward_case(s));
  }
  // Vocabularies around the 16 lanes of the sums.
  for (const int64_t vocab : {1, 15, 16, 17, 61, 1000}) {
    cases.push_back(log_probs_case({.rows = 40, .vocab = vocab, .n = 1}));
  }
  for (const LossShape& s : shapes) {
    if (s.n == 1 && !s.has_skipped) cases.push_back(log_probs_case(s));
  }
  cases.push_back(
      log_probs_case({.rows = 5, .vocab = 65, .n = 1, .cap = 15.0f, .logit_scale = 20.0}));
  return cases;
}

std::vector<OpCase> loss_record_cases() {
  const LossShape shape = {.rows = 512, .vocab = 8192, .n = 1};
  LossShape of_sides = shape;
  of_sides.cap = kSides[1];
  of_sides.has_sides = true;
  return {softcap_xent_case(shape), softcap_xent_backward_case(shape),
          softcap_xent_sides_backward_case(of_sides), log_probs_case(shape)};
}

}  // namespace pg::optest
