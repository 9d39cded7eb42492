// Threads of PTX together: memory, barriers, warp operations, tensor cores, and what is told of
// mistakes in them.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/simt/simt_executor.h"
#include "kernels/simt/simt_races.h"
#include "tests/simt/ptx/ptx_snippet.h"

namespace pg::ptx {
namespace {

const std::string kStoreR1 = "st.global.u32 [%d0], %r1;";

std::string error_of(const Snippet& snippet) {
  try {
    run_snippet(snippet);
  } catch (const simt::LaunchError& error) {
    return error.what();
  }
  return "no error";
}

void expect_error(const Snippet& snippet, const std::string& part) {
  const std::string error = error_of(snippet);
  EXPECT_NE(error.find(part), std::string::npos) << "no \"" << part << "\" in: " << error;
}

// ---- memory -----------------------------------------------------------------------------------

TEST(PtxMemory, LoadsOfEveryWidthAndSign) {
  const auto load = [](const std::string& instruction) {
    return run_snippet({.body = instruction}, {0x8877665544332211, 0xff})[0];
  };
  const std::string store = " st.global.u64 [%d0], %d2;";
  EXPECT_EQ(load("ld.global.u64 %d2, [%d1];" + store), 0x8877665544332211u);
  EXPECT_EQ(load("ld.global.u32 %d2, [%d1+4];" + store), 0x88776655u);
  EXPECT_EQ(load("ld.global.s32 %d2, [%d1+4];" + store), 0xffffffff88776655u);
  EXPECT_EQ(load("add.s64 %d1, %d1, 16; ld.global.nc.u16 %d2, [%d1+-10];" + store), 0x8877u);
  EXPECT_EQ(load("ld.s8 %d2, [%d1+7];" + store), 0xffffffffffffff88u);
  EXPECT_EQ(load("ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%d1]; mov.b64 %d2, {%r5, %r4};" + store),
            uint64_t{0xff} << 32);
  EXPECT_EQ(load("mov.u32 %r2, 7; mov.u32 %r3, 8; st.global.wb.v2.u32 [%d0], {%r2, %r3};"),
            0x800000007u);
  EXPECT_EQ(load("mov.u16 %h2, 513; st.global.u8 [%d0], %h2;"), 1u);
}

TEST(PtxMemory, SharedArraysLieApartAndStartAsNoNumbers) {
  const std::string two = ".shared .align 4 .b8 one[8];\n.shared .align 8 .b8 other[16];\n";
  const Snippet snippet = {.body = two +
                                   "mov.u32 %r2, other;\n st.shared.u32 [%r2+8], 5;\n"
                                   "ld.shared.u32 %r1, [other+8];\n" +
                                   kStoreR1};
  EXPECT_EQ(run_snippet(snippet)[0], 5u);
  const Snippet unwritten = {.body = two + "ld.shared.u32 %r1, [one];" + kStoreR1};
  EXPECT_EQ(run_snippet(unwritten)[0], 0xffffffffu);
  expect_error({.body = two + "ld.shared.u32 %r1, [one+8];"},
               "4-byte access outside of shared arrays");
  expect_error({.body = two + "ld.shared.v2.u32 {%r1, %r2}, [other+16];"}, "outside of shared");
  expect_error({.body = two + "st.shared.u32 [one+-4], 1;"}, "outside of shared arrays");
}

TEST(PtxMemory, DynamicSharedMemoryLiesBehindTheStatic) {
  const std::string text =
      ".shared .align 4 .b8 one[8];\nst.shared.u32 [one], 3;\n"
      "st.shared.u32 [dynamic+28], 4;\nld.shared.u32 %r1, [dynamic+28];";
  const std::string before = ".extern .shared .align 128 .b8 dynamic[];";
  EXPECT_EQ(run_snippet({.body = text + kStoreR1, .before = before, .shared_bytes = 32})[0], 4u);
  expect_error({.body = text, .before = before, .shared_bytes = 28}, "outside of shared arrays");
}

TEST(PtxMemory, AccessesAreChecked) {
  expect_error({.body = "ld.global.u32 %r1, [%d0+2];"},
               "4-byte access to a misaligned address at snippet.ptx:");
  expect_error({.body = "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%d1+8];"}, "misaligned address");
  expect_error({.body = "mov.u64 %d2, 4096; st.global.u32 [%d2], 1;"},
               "4-byte access outside of global memory");
  expect_error({.body = "add.s64 %d2, %d0, 1048576; ld.global.u8 %r1, [%d2];"},
               "outside of global");
  expect_error({.body = "ld.param.u64 %d2, [snippet_param_1+4];"}, "past the kernel's parameters");
}

// Its value may be the one before the write, or not.
TEST(PtxMemory, WhatIsReadAsConstantIsNotWritten) {
  expect_error({.body = "st.global.u32 [%d0], 1; ld.global.nc.u32 %r1, [%d0];"},
               "a read-only load of what the launch writes");
  expect_error({.body = "st.global.u8 [%d0+3], 1; ld.global.nc.u32 %r1, [%d0];"},
               "a read-only load");
  EXPECT_EQ(error_of({.body = "ld.global.nc.u32 %r1, [%d0]; st.global.u32 [%d0], 1;"}), "no error");
  EXPECT_EQ(error_of({.body = "st.global.u32 [%d0], 1; ld.global.nc.u32 %r1, [%d0+4];"}),
            "no error");
  EXPECT_EQ(error_of({.body = "st.global.u32 [%d0], 1; ld.global.u32 %r1, [%d0];"}), "no error");
}

TEST(PtxMemory, CopiesLandAtTheirWait) {
  const std::string copy =
      ".shared .align 16 .b8 to[32];\nmov.u32 %r2, to;\n"
      "cp.async.cg.shared.global [%r2], [%d1], 16, 16;\n"
      "cp.async.cg.shared.global [%r2+16], [%d1], 16, 0;\n"
      "cp.async.commit_group;\n";
  const std::string read =
      "ld.shared.u32 %r1, [to];\nld.shared.u32 %r3, [to+16];\n"
      "mov.b64 %d2, {%r1, %r3};\nst.global.u64 [%d0], %d2;";
  EXPECT_EQ(run_snippet({.body = copy + "cp.async.wait_group 0;\n" + read}, {7, 8})[0], 7u);
  EXPECT_EQ(run_snippet({.body = copy + read}, {7, 8})[0], ~uint64_t{0});
}

// ---- threads ------------------------------------------------------------------------------------

const std::string kExchange =
    ".shared .align 4 .b8 values[256];\nmov.u32 %r2, values;\n"
    "shl.b32 %r3, %r0, 2;\nadd.s32 %r3, %r2, %r3;\n"
    "st.shared.u32 [%r3], %r0;\n";
const std::string kReadOther =
    "xor.b32 %r4, %r0, 63;\nshl.b32 %r4, %r4, 2;\n"
    "add.s32 %r4, %r2, %r4;\nld.shared.u32 %r1, [%r4];\n" +
    kStoreR1;

TEST(PtxThreads, MeetAtABarrier) {
  const std::vector<uint64_t> out =
      run_snippet({.body = kExchange + "bar.sync 0;\n" + kReadOther, .threads = 64});
  for (uint64_t i = 0; i < 64; ++i) EXPECT_EQ(out[i], i ^ 63);
}

TEST(PtxThreads, RaceWithoutIt) {
  simt::watch_accesses();
  run_snippet({.body = kExchange + kReadOther, .threads = 64});
  EXPECT_NE(simt::take_race().find("reads what"), std::string::npos);
  run_snippet({.body = kExchange + "bar.sync 0;\n" + kReadOther, .threads = 64});
  EXPECT_EQ(simt::take_race(), "");
  simt::watch_accesses(false);
}

TEST(PtxThreads, AddToOneCounter) {
  const std::vector<uint64_t> out = run_snippet(
      {.body = ".shared .align 4 .b8 count[4];\nst.shared.u32 [count], 0;\nbar.sync 0;\n"
               "atom.shared.add.u32 %r1, [count], 2;\nbar.sync 0;\nld.shared.u32 %r1, [count];\n" +
               kStoreR1,
       .threads = 40});
  for (const uint64_t value : out) EXPECT_EQ(value, 80u);
}

TEST(PtxThreads, DivergeWhereAllMustMeet) {
  const std::string half = "setp.lt.u32 %p2, %r0, 32;\n";
  expect_error({.body = half + "@%p2 bar.sync 0;\n", .threads = 64}, "exit");
  expect_error(
      {.body = half + "@%p2 bra $L__a;\nbar.sync 0;\nret;\n$L__a:\nbar.sync 0;\n", .threads = 64},
      "divergent barriers: snippet.ptx:");
}

TEST(PtxThreads, ShufflesReachTheirSegmentAlone) {
  // c: clamp 31 and segments of 32 lanes, or of 8 (0x181f); of `up`, clamp 0.
  const auto shuffle = [](const std::string& kind, int by, const std::string& c) {
    return run_snippet({.body = "shfl.sync." + kind + ".b32 %r1|%p1, %r0, " + std::to_string(by) +
                                ", " + c +
                                ", -1;\nselp.u32 %r2, 1, 0, %p1;\n"
                                "mov.b64 %d2, {%r1, %r2};\nst.global.u64 [%d0], %d2;",
                        .threads = 32});
  };
  const auto value = [](uint64_t lane, bool is_reached) {
    return lane | uint64_t{is_reached} << 32;
  };
  const auto bfly = shuffle("bfly", 5, "31"), up = shuffle("up", 3, "0"),
             down = shuffle("down", 3, "0x181f"), index = shuffle("idx", 9, "0x181f");
  for (uint64_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(bfly[lane], value(lane ^ 5, true));
    EXPECT_EQ(up[lane], value(lane < 3 ? lane : lane - 3, lane >= 3));
    EXPECT_EQ(down[lane], value(lane % 8 > 4 ? lane : lane + 3, lane % 8 <= 4));
    EXPECT_EQ(index[lane], value(lane / 8 * 8 + 1, true));
  }
}

TEST(PtxThreads, Vote) {
  const auto vote = [](const std::string& kind) {
    return run_snippet({.body = "setp.lt.u32 %p2, %r0, 3;\nvote.sync." + kind +
                                ", %p2, -1;\n"
                                "selp.u32 %r2, 1, 0, %p1;\n" +
                                kStoreR1,
                        .threads = 32})[7];
  };
  EXPECT_EQ(vote("ballot.b32 %r1"), 7u);
  EXPECT_EQ(vote("any.pred %p1, %p2, -1; selp.u32 %r1, 1, 0, %p1; vote.sync.any.pred %p1"), 1u);
  EXPECT_EQ(vote("all.pred %p1, %p2, -1; selp.u32 %r1, 1, 0, %p1; vote.sync.any.pred %p1"), 0u);
}

TEST(PtxThreads, CallFunctions) {
  const std::string square =
      ".func (.param .b64 func_retval0) square(\n.param .b64 square_param_0\n)\n{\n"
      ".reg .f64 %fd<4>;\nld.param.f64 %fd1, [square_param_0];\n"
      "mul.f64 %fd2, %fd1, %fd1;\nst.param.f64 [func_retval0+0], %fd2;\nret;\n}\n";
  const std::vector<uint64_t> out = run_snippet(
      {.body = "{\n.param .b64 param0;\nst.param.f64 [param0+0], " + constant(1.5) +
               ";\n.param .b64 retval0;\ncall.uni (retval0), \nsquare, \n(\nparam0\n);\n"
               "ld.param.f64 %g1, [retval0+0];\n}\nst.global.f64 [%d0], %g1;",
       .before = square});
  EXPECT_EQ(std::bit_cast<double>(out[0]), 2.25);
}

// ---- tensor cores -------------------------------------------------------------------------------

// Each lane's four fragments of eight rows, from and without transposition.
TEST(PtxTensorCores, LdmatrixGivesTheFragments) {
  for (const bool is_transposed : {false, true}) {
    // Element c of row r of matrix m is 100 m + 10 r + c; lane 8 m + r writes the row and names it.
    std::string body =
        ".shared .align 16 .b8 matrices[512];\nmov.u32 %r2, matrices;\n"
        "shl.b32 %r3, %r0, 4;\nadd.s32 %r3, %r2, %r3;\nshr.u32 %r4, %r0, 3;\n"
        "and.b32 %r5, %r0, 7;\nmul.lo.s32 %r5, %r5, 10;\n"
        "mad.lo.s32 %r5, %r4, 100, %r5;\n";
    for (int c = 0; c < 8; ++c) {
      body += "add.s32 %r6, %r5, " + std::to_string(c) +
              ";\ncvt.u16.u32 %h2, %r6;\nst.shared.u16 [%r3+" + std::to_string(2 * c) + "], %h2;\n";
    }
    body += std::string("bar.sync 0;\nldmatrix.sync.aligned.m8n8.x4.") +
            (is_transposed ? "trans." : "") +
            "shared.b16 {%r10, %r11, %r12, %r13}, [%r3];\nmov.b64 %d2, {%r10, %r13};\n"
            "st.global.u64 [%d0], %d2;";
    const std::vector<uint64_t> out = run_snippet({.body = body, .threads = 32});
    for (uint64_t lane = 0; lane < 32; ++lane) {
      const uint64_t g = lane / 4, t = lane % 4 * 2;
      const uint64_t low = is_transposed ? 10 * t + g : 10 * g + t;
      const uint64_t pair = low | (low + (is_transposed ? 10 : 1)) << 16;
      const uint64_t of_matrix_3 = pair + 300 + (uint64_t{300} << 16);
      EXPECT_EQ(out[lane], pair | of_matrix_3 << 32) << lane;
    }
  }
}

// D = A B + C for A[r, k] = r + k, B[k, n] = k - n, C[r, n] = r n, all exact.
TEST(PtxTensorCores, MmaMultipliesByTheLayoutOfTheIsa) {
  const auto pair = [](int first, int second) {
    return uint32_t{bf16(static_cast<float>(first)).bits} |
           uint32_t{bf16(static_cast<float>(second)).bits} << 16;
  };
  // The fragments of PTX ISA 9.0, "Matrix Fragments for mma.m16n8k16": group lane / 4, thread lane % 4.
  std::string body;
  const auto choose = [&](const std::string& name, auto fragment) {
    body += "mov.b32 " + name + ", 0;\n";
    for (int lane = 0; lane < 32; ++lane) {
      body += "setp.eq.u32 %p2, %r0, " + std::to_string(lane) + ";\n@%p2 mov.b32 " + name + ", " +
              std::to_string(fragment(lane / 4, lane % 4)) + ";\n";
    }
  };
  for (int i = 0; i < 4; ++i) {
    const std::string number = std::to_string(i);
    choose("%r1" + number, [&](int group, int thread) {
      const int row = group + i % 2 * 8, k = 2 * thread + i / 2 * 8;
      return pair(row + k, row + k + 1);
    });
    choose("%f1" + number, [&](int group, int thread) {
      const int product = (group + i / 2 * 8) * (2 * thread + i % 2);
      return std::bit_cast<uint32_t>(static_cast<float>(product));
    });
  }
  for (int i = 0; i < 2; ++i) {
    choose("%r2" + std::to_string(i), [&](int group, int thread) {
      const int k = 2 * thread + i * 8;
      return pair(k - group, k + 1 - group);
    });
  }
  for (int i = 0; i < 4; ++i) {
    const std::vector<uint64_t> out = run_snippet(
        {.body = body +
                 "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f20, %f21, %f22, %f23}, "
                 "{%r10, %r11, %r12, %r13}, {%r20, %r21}, {%f10, %f11, %f12, %f13};\n"
                 "st.global.f32 [%d0], %f2" +
                 std::to_string(i) + ";",
         .threads = 32});
    for (int lane = 0; lane < 32; ++lane) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      int sum = row * column;
      for (int k = 0; k < 16; ++k) sum += (row + k) * (k - column);
      EXPECT_EQ(std::bit_cast<float>(static_cast<uint32_t>(out[static_cast<size_t>(lane)])),
                static_cast<float>(sum));
    }
  }
}

// ---- what is not known --------------------------------------------------------------------------

TEST(PtxText, WhatIsUnknownIsNamedWithItsLine) {
  expect_error({.body = "sin.approx.f32 %f1, %f2;"},
               "unknown PTX instruction: sin.approx.f32 %f1, %f2");
  expect_error({.body = "add.sat.s32 %r1, %r2, %r3;"},
               "snippet.ptx:25: unknown PTX instruction: add.sat");
  expect_error({.body = "add.s32 %r1, %r2;"}, "unknown PTX instruction: add.s32 %r1, %r2");
  expect_error({.body = "ld.global.v4.u32 {%r1, %r2}, [%d0];"}, "unknown PTX instruction");
  expect_error({.body = "mov.u32 %r1, %clock;"}, "\"%clock\" is no register");
  expect_error({.body = "bra $L__nowhere;"}, "there is no label $L__nowhere");
  expect_error({.body = ".local .align 4 .b8 array[16];"}, "unknown PTX declaration");
}

}  // namespace
}  // namespace pg::ptx
