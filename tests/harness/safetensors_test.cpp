#include "harness/exchange/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace pg {
namespace {

ParamSpec make_spec(const char* name, int64_t rows, int64_t cols) {
  ParamSpec spec;
  spec.name = name;
  spec.rows = rows;
  spec.cols = cols;
  return spec;
}

std::vector<HostTensor> sample_tensors() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return {{make_spec("z.first", 2, 3), {1, -0.0f, 1e-45f, kInfinity, 3.4e38f, -2}},
          {make_spec("a \"second\"", 1, 2), {0.1f, std::nanf("7")}}};
}

std::vector<ParamSpec> specs_of(const std::vector<HostTensor>& tensors) {
  std::vector<ParamSpec> specs;
  for (const HostTensor& tensor : tensors) specs.push_back(tensor.spec);
  return specs;
}

std::vector<uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<uint32_t>(value));
  return bits;
}

// A file with this header and `data_bytes` zeros behind it.
Bytes make_file(std::string_view header, size_t data_bytes) {
  ByteWriter file;
  file.u64(header.size());
  file.bytes(as_bytes(header));
  file.bytes(Bytes(data_bytes));
  return file.take();
}

// What the parser says to a file of two tensors x [1, 2] and y [2, 2].
std::string problem_of(std::string_view header, size_t data_bytes = 24) {
  const auto tensors = parse_safetensors(make_file(header, data_bytes),
                                         {make_spec("x", 1, 2), make_spec("y", 2, 2)});
  return tensors.ok() ? "" : tensors.error();
}

constexpr const char* kX = R"("x":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]})";
constexpr const char* kY = R"("y":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]})";

#define EXPECT_PROBLEM(header, part) \
  EXPECT_NE(problem_of(header).find(part), std::string::npos) << problem_of(header)

TEST(Safetensors, RoundTripKeepsEveryBitTheOrderAndTheMetadata) {
  const auto tensors = sample_tensors();
  const SafetensorsMetadata metadata = {{"b", "two\n\"lines\""}, {"a", ""}};
  const Bytes file = write_safetensors(tensors, metadata);
  EXPECT_EQ(file, write_safetensors(tensors, metadata));
  EXPECT_EQ((file.size() - 8 * sizeof(float)) % 8, 0u);
  EXPECT_EQ(parse_safetensors_metadata(file).value(), metadata);
  const auto read = parse_safetensors(file, specs_of(tensors));
  ASSERT_TRUE(read.ok()) << read.error();
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(read.value()[i].spec.name, tensors[i].spec.name);
    EXPECT_EQ(bits_of(read.value()[i].values), bits_of(tensors[i].values));
  }
}

TEST(Safetensors, TensorsComeInTheOrderAskedFor) {
  const std::string swapped =
      fmt::format("{{{},{}}}", R"("y":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]})",
                  R"("x":{"dtype":"F32","shape":[2],"data_offsets":[16,24]})");  // [2] for [1, 2]
  EXPECT_EQ(problem_of(swapped), "");
  EXPECT_EQ(problem_of(fmt::format("{{{},{}}}   ", kY, kX)), "");
}

// What torch.tensor(0.25) and its bf16 become; the model has them as [1, 1].
TEST(Safetensors, ScalarsAreReadAsOneByOne) {
  Bytes file = make_file(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                         R"("t":{"dtype":"BF16","shape":[],"data_offsets":[4,6]}})",
                         0);
  for (const uint8_t byte : Bytes{0x00, 0x00, 0x80, 0x3e, 0x40, 0xc0}) file.push_back(byte);
  const auto read = parse_safetensors(file, {make_spec("s", 1, 1), make_spec("t", 1, 1)});
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(read.value()[0].values, std::vector{0.25f});
  EXPECT_EQ(read.value()[1].values, std::vector{-3.0f});
  EXPECT_EQ(parse_safetensors(file, {make_spec("s", 1, 2), make_spec("t", 1, 1)}).error(),
            "tensor \"s\" has the shape []; the model needs [1, 2]");
}

// A scalar takes one value's bytes, no more and no fewer.
TEST(Safetensors, ScalarsOfAnotherSizeAreRejected) {
  EXPECT_PROBLEM(R"({"x":{"dtype":"F32","shape":[],"data_offsets":[0,8]}})",
                 "its shape and type ask for 4");
  EXPECT_PROBLEM(R"({"x":{"dtype":"F32","shape":[],"data_offsets":[0,0]}})",
                 "its shape and type ask for 4");
}

// The file that the public library wrote; make_safetensors_golden.py has the same formulas.
TEST(Safetensors, ReadsThePublicLibrarysFileBitForBit) {
  const Bytes file = read_file("tests/fuzz/corpus/safetensors/public.safetensors");
  const auto read = parse_safetensors(
      file, {make_spec("a.half", 6, 8), make_spec("b.wide", 4, 8), make_spec("c.brain", 1, 48)});
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(parse_safetensors_metadata(file).value().at("note"),
            "written by the public library, \"quoted\" \u00e9");
  for (uint32_t i = 0; i < 32; ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>(read.value()[1].values[i]), i * 0x9E3779B9u + 12345u) << i;
  }
  for (uint32_t i = 0; i < 48; ++i) {
    const uint32_t bits = (i * 1366 + 1) & 0xffff;
    EXPECT_EQ(std::bit_cast<uint32_t>(read.value()[2].values[i]), bits << 16) << i;
    const int exponent = static_cast<int>(bits >> 10) & 31,
              mantissa = static_cast<int>(bits & 1023);
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    const double value = read.value()[0].values[i];
    if (exponent == 31) {
      EXPECT_TRUE(std::isnan(value)) << i;
    } else {
      EXPECT_EQ(value, (bits & 0x8000) != 0 ? -magnitude : magnitude) << i;
    }
  }
}

TEST(Safetensors, EveryTruncationIsRejected) {
  const auto tensors = sample_tensors();
  Bytes file = write_safetensors(tensors, {{"key", "value"}});
  for (size_t n = 0; n < file.size(); ++n) {
    ASSERT_FALSE(parse_safetensors(std::span(file).first(n), specs_of(tensors)).ok()) << n;
  }
  file.push_back(0);
  EXPECT_EQ(parse_safetensors(file, specs_of(tensors)).error(), "bytes follow the last tensor");
}

TEST(Safetensors, MissingExtraAndMisshapenTensorsAreNamed) {
  const auto tensors = sample_tensors();
  const Bytes file = write_safetensors(tensors, {});
  auto specs = specs_of(tensors);
  specs[0].rows = 3, specs[0].cols = 2;
  EXPECT_EQ(parse_safetensors(file, specs).error(),
            "tensor \"z.first\" has the shape [2, 3]; the model needs [3, 2]");
  specs = specs_of(tensors);
  specs.push_back(make_spec("third", 1, 1));
  EXPECT_EQ(parse_safetensors(file, specs).error(),
            "tensor \"third\" is missing; the model needs it with shape [1, 1]");
  specs = {tensors[1].spec};
  EXPECT_EQ(parse_safetensors(file, specs).error(), "tensor \"z.first\" is not one of the model's");
}

TEST(Safetensors, RangesMustCoverTheDataOnceAndFitTheShapes) {
  EXPECT_EQ(problem_of(fmt::format("{{{},{}}}", kX, kY)), "");
  const auto with_y = [](std::string_view shape, std::string_view offsets,
                         std::string_view dtype = "F32") {
    return fmt::format(R"({{{},"y":{{"dtype":"{}","shape":{},"data_offsets":{}}}}})", kX, dtype,
                       shape, offsets);
  };
  EXPECT_PROBLEM(with_y("[2,2]", "[4,20]"), "\"y\" overlaps another");
  EXPECT_PROBLEM(with_y("[2]", "[16,24]"), "\"y\" follows a gap");
  EXPECT_PROBLEM(with_y("[2]", "[8,16]"), "bytes follow the last tensor");
  EXPECT_PROBLEM(with_y("[2,2]", "[24,8]"), "beyond the data");
  EXPECT_PROBLEM(with_y("[2,2]", "[8,28]"), "beyond the data");
  EXPECT_PROBLEM(with_y("[2,2]", "[18446744073709551600,18446744073709551615]"), "beyond the data");
  EXPECT_PROBLEM(with_y("[2,3]", "[8,24]"), "its shape and type ask for 24");
  EXPECT_PROBLEM(with_y("[4294967296,4294967296,4]", "[8,24]"), "its shape and type ask for");
  EXPECT_PROBLEM(with_y("[0,9223372036854775807,3]", "[8,24]"), "its shape and type ask for 0");
  EXPECT_PROBLEM(with_y("[2,2]", "[8,24]", "F64"), "has the type \"F64\"");
  EXPECT_PROBLEM(with_y("[2,2]", "[8,24]", "\\u001b"), "has the type \"\\x1b\"");
}

TEST(Safetensors, HeadersWithWhatDoesNotBelongAreRejected) {
  EXPECT_PROBLEM(fmt::format("{{{},{},{}}}", kX, kY, kX), "duplicate name at \"x\"");
  EXPECT_PROBLEM(fmt::format("{{{}", kX), "no JSON object");
  EXPECT_PROBLEM(fmt::format("{{{},{}}} x", kX, kY), "no JSON object");
  EXPECT_PROBLEM(fmt::format(" {{{},{}}}", kX, kY), "no JSON object");
  EXPECT_PROBLEM("[]", "no JSON object");
  EXPECT_PROBLEM(R"({"__metadata__":{"a":"1","a":"2"}})", "duplicate key");
  EXPECT_PROBLEM(R"({"__metadata__":{},"__metadata__":{}})", "duplicate name");
  EXPECT_PROBLEM(R"({"__metadata__":{"a":1}})", "a number");
  EXPECT_PROBLEM(R"({"__metadata__":{"a":{}}})", "nested values");
  EXPECT_PROBLEM(R"({"x":null})", "a null");
  EXPECT_PROBLEM(R"({"x":"F32"})", "a text");
  EXPECT_PROBLEM(R"({"x":{}})", "no dtype, shape or pair");
  EXPECT_PROBLEM(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}})",
                 "no dtype, shape or pair");
  EXPECT_PROBLEM(R"({"x":{"dtype":"F32","dtype":"F32"}})", "unknown or duplicate key");
  EXPECT_PROBLEM(R"({"x":{"shape":[],"data_offsets":[],"data_offsets":[0,4]}})", "duplicate key");
  EXPECT_PROBLEM(R"({"x":{"colour":"red"}})", "unknown or duplicate key");
  EXPECT_PROBLEM(R"({"x":{"shape":["2"]}})", "a text");
  EXPECT_PROBLEM(R"({"x":{"shape":[-2]}})", "a negative number");
  EXPECT_PROBLEM(R"({"x":{"shape":[2.0]}})", "a broken number");
  EXPECT_PROBLEM(R"({"x":{"shape":[1,1,1,1,1,1,1,1,2]}})", "too many numbers");
}

TEST(Safetensors, HugeLengthsAndDeepNestingCostNothing) {
  for (const uint64_t claimed : {uint64_t{1} << 23, uint64_t{1} << 40, ~uint64_t{0}}) {
    ByteWriter file;
    file.u64(claimed);
    file.bytes(as_bytes("{}"));
    EXPECT_NE(parse_safetensors(file.buffer(), {}).error().find("the header claims"),
              std::string::npos);
  }
  std::string nested = "{\"x\":{\"shape\":";
  nested.append(kMaxSafetensorsHeaderBytes - nested.size(), '[');
  EXPECT_PROBLEM(nested, "a list where none belongs");
  nested.clear();
  while (nested.size() < 1000000) nested += "{\"__metadata__\":";
  EXPECT_PROBLEM(nested, "nested values");
}

}  // namespace
}  // namespace pg
