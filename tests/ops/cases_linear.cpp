// Cases of linear maps and embeddings.
#include <algorithm>
#include <array>

#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

// A product of n terms: bf16 x bf16 is exact in f32, f32 x f32 costs one unit a term, the sum
// sum_units(n).
double product_units(int64_t n) { return sum_units(n) + 1.0; }

OpCase linear_case(int64_t rows, int64_t in, int64_t out, Kind y_kind) {
  Operand y = output("y", rows * out, units_of_terms("y", product_units(in)));
  y.kind = y_kind;
  return {OpId::kLinear,
          describe({{"rows", rows}, {"in", in}, {"out", out}}) +
              (y_kind == Kind::kF32 ? " f32 result" : ""),
          {input("x", rows * in, normal()), input("w", out * in, normal(0.3)), y},
          [=](Ops& ops, const Args& a) {
            ops.linear(a.out("y"), a.in("x"), a.in("w"), a.in("addend"), rows, in, out);
          },
          {{"y"}, {"x", "w"}, [=](Ops& ops, const Args& a) {
             ops.linear_dx(a.out("dx"), a.in("dy"), a.in("w"), rows, in, out);
             ops.linear_dw(a.out("dw"), a.in("dy"), a.in("x"), rows, in, out);
           }}};
}

// One more term, which the sum begins with: its error and its gradient are those of any other.
OpCase with_addend(OpCase op_case, int64_t rows, int64_t in, int64_t out) {
  Operand& y = op_case.operands.back();
  Operand addend = input("addend", y.count, normal(3.0));
  addend.kind = y.kind;
  y.error = units_of_terms("y", product_units(in + 1));
  op_case.shape += " addend";
  op_case.operands.insert(op_case.operands.begin(), addend);
  op_case.gradient.inputs.push_back("addend");
  const auto other_gradients = op_case.gradient.call;
  op_case.gradient.call = [=](Ops& ops, const Args& a) {
    other_gradients(ops, a);
    ops.cast(a.out("daddend"), a.in("dy"), rows * out);
  };
  return op_case;
}

OpCase linear_dx_case(int64_t rows, int64_t in, int64_t out) {
  return {OpId::kLinearDx,
          describe({{"rows", rows}, {"in", in}, {"out", out}}),
          {input("dy", rows * out, normal()), input("w", out * in, normal(0.3)),
           output("dx", rows * in, units_of_terms("dx", product_units(out)))},
          [=](Ops& ops, const Args& a) {
            ops.linear_dx(a.out("dx"), a.in("dy"), a.in("w"), rows, in, out);
          }};
}

OpCase linear_dw_case(int64_t rows, int64_t in, int64_t out) {
  return {OpId::kLinearDw,
          describe({{"rows", rows}, {"in", in}, {"out", out}}),
          {input("dy", rows * out, normal()), input("x", rows * in, normal()),
           output_f32("dw", out * in, units_of_terms("dw", product_units(rows)))},
          [=](Ops& ops, const Args& a) {
            ops.linear_dw(a.out("dw"), a.in("dy"), a.in("x"), rows, in, out);
          }};
}

OpCase embed_case(int64_t rows, int64_t vocab, int64_t dim) {
  return {OpId::kEmbed,
          describe({{"rows", rows}, {"vocab", vocab}, {"dim", dim}}),
          {ids("ids", rows, vocab), input("table", vocab * dim, normal()),
           output("y", rows * dim, exact(rows * dim))},
          [=](Ops& ops, const Args& a) {
            ops.embed(a.out("y"), a.in("ids"), a.in("table"), rows, dim);
          },
          {{"y"}, {"table"}, [=](Ops& ops, const Args& a) {
             ops.embed_backward(a.out("dtable"), a.in("ids"), a.in("dy"), rows, vocab, dim);
           }}};
}

OpCase embed_backward_case(int64_t rows, int64_t vocab, int64_t dim) {
  return {OpId::kEmbedBackward,
          describe({{"rows", rows}, {"vocab", vocab}, {"dim", dim}}),
          {ids("ids", rows, vocab), input("dy", rows * dim, normal()),
           output_f32("dtable", vocab * dim, units_of_terms("dtable", sum_units(rows)))},
          [=](Ops& ops, const Args& a) {
            ops.embed_backward(a.out("dtable"), a.in("ids"), a.in("dy"), rows, vocab, dim);
          }};
}

// Of a table of activations.
OpCase embed_backward_of_rows_case(int64_t rows, int64_t vocab, int64_t dim) {
  return {OpId::kEmbedBackward,
          describe({{"rows", rows}, {"vocab", vocab}, {"dim", dim}}) + " of activations",
          {ids("ids", rows, vocab), input("dy", rows * dim, normal()),
           output("dtable", vocab * dim, units_of_terms("dtable", sum_units(rows)))},
          [=](Ops& ops, const Args& a) {
            ops.embed_backward(a.out("dtable"), a.in("ids"), a.in("dy"), rows, vocab, dim);
          }};
}

OpCase bigram_hash_case(int64_t rows, int64_t tokens, int64_t buckets, int64_t vocab,
                        int64_t first = 0, bool trigram = false) {
  const int64_t before = std::min<int64_t>(first, trigram ? 2 : 1);
  return {
      OpId::kBigramHash,
      describe({{"rows", rows}, {"tokens", tokens}, {"buckets", buckets}, {"vocab", vocab}}) +
          describe_first(first) + (trigram ? " trigram" : ""),
      {ids("ids", before + rows, vocab), {"hashed", Role::kOut, Kind::kI32, rows, {}, exact(rows)}},
      [=](Ops& ops, const Args& a) {
        ops.bigram_hash(a.out("hashed"), without_front(a.in("ids"), before), rows, tokens, buckets,
                        first, trigram);
      }};
}

}  // namespace

std::vector<OpCase> linear_cases() {
  std::vector<OpCase> cases;
  // rows, in, out: ones, odd, tiles of 16 / 32 / 64 and one more, more rows than a block of 512, a
  // head of 1024.
  const int64_t shapes[][3] = {{1, 1, 1},     {2, 3, 5},    {1, 64, 32},   {31, 33, 17},
                               {33, 32, 64},  {64, 96, 65}, {515, 64, 32}, {130, 32, 1024},
                               {7, 200, 129}, {32, 513, 8}};
  for (const auto& [rows, in, out] : shapes) {
    cases.push_back(linear_case(rows, in, out, Kind::kActivation));
    cases.push_back(linear_dx_case(rows, in, out));
    cases.push_back(linear_dw_case(rows, in, out));
    cases.push_back(with_addend(linear_case(rows, in, out, Kind::kActivation), rows, in, out));
    cases.push_back(with_views(linear_case(rows, in, out, Kind::kActivation), {{"y", out}}));
    cases.push_back(with_views(linear_dx_case(rows, in, out), {{"dy", out}}));
    cases.push_back(with_views(linear_dw_case(rows, in, out), {{"dy", out}}));
  }
  cases.push_back(linear_case(3, 2, 5, Kind::kF32));
  cases.push_back(linear_case(131, 48, 1000, Kind::kF32));
  // Blocks of 256 and parts of them: rows, inputs, outputs; few blocks and more.
  for (const auto& [rows, in, out] : {std::array<int64_t, 3>{258, 272, 144}, {34, 272, 528}}) {
    cases.push_back(linear_dw_case(rows, in, out));
    cases.push_back(with_views(linear_dw_case(rows, in, out), {{"dy", out}}));
  }
  cases.push_back(linear_dw_case(2051, 32, 48));
  cases.push_back(with_views(linear_dw_case(2051, 32, 48), {{"dy", 48}}));
  cases.push_back(with_addend(linear_case(67, 48, 33, Kind::kF32), 67, 48, 33));
  cases.push_back(with_views(linear_case(67, 48, 33, Kind::kF32), {{"y", 33}}));
  for (const int64_t rows : {5, 515}) {
    OpCase both = with_addend(linear_case(rows, 40, 33, Kind::kActivation), rows, 40, 33);
    both.gradient = {};  // the addend's would be a dense copy of a view
    cases.push_back(with_views(both, {{"y", 33}}));
  }

  // The fourth gives every row the same id, the last leaves most of the table untouched.
  const int64_t tables[][3] = {{1, 1, 1},   {2, 5, 3},       {33, 7, 31},
                               {67, 1, 64}, {515, 1024, 32}, {40, 2000, 17}};
  for (const auto& [rows, vocab, dim] : tables) {
    cases.push_back(embed_case(rows, vocab, dim));
    cases.push_back(embed_backward_case(rows, vocab, dim));
  }
  cases.push_back(embed_backward_case(5000, 11, 8));
  cases.push_back(embed_backward_of_rows_case(1, 1, 1));
  cases.push_back(embed_backward_of_rows_case(70, 31, 33));
  cases.push_back(embed_backward_of_rows_case(100, 500, 64));
  cases.push_back(bigram_hash_case(1, 1, 2, 3));
  cases.push_back(bigram_hash_case(6, 2, 7, 1024));
  cases.push_back(bigram_hash_case(33, 33, 2048, 1024));
  cases.push_back(bigram_hash_case(5 * 103, 103, 4096, 59000));
  cases.push_back(bigram_hash_case(6, 2, 7, 1024, 0, /*trigram=*/true));
  cases.push_back(bigram_hash_case(5 * 103, 103, 4096, 59000, 0, /*trigram=*/true));
  for (const int64_t first : {1, 32, 33, 40}) {  // within a sequence, at its end, of the next one
    cases.push_back(bigram_hash_case(1, 33, 2048, 1024, first));
    cases.push_back(bigram_hash_case(70, 33, 2048, 1024, first));
    cases.push_back(bigram_hash_case(70, 33, 2048, 1024, first, /*trigram=*/true));
  }
  return cases;
}

std::vector<OpCase> linear_record_cases() {
  return {linear_case(512, 512, 1536, Kind::kActivation),
          linear_dx_case(512, 512, 1536),
          linear_dw_case(512, 512, 1536),
          linear_case(256, 512, 1024, Kind::kF32),
          embed_case(2048, 8192, 512),
          embed_backward_case(2048, 8192, 512),
          bigram_hash_case(4096, 2048, 3072, 1024)};
}

}  // namespace pg::optest
