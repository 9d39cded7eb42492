// log, pow, log2, exp2, sin and cos in double with the same bits on every processor, where libm has another
// way for each set of instructions. Scalar: for tables, schedules and one number a row; exp_f64,
// exp_simd and tanh_simd (simd_math.h) are for loops.
#pragma once

namespace pg {

// ln x within 1 ulp. ln 0 = -infinity; a NaN for x < 0.
double log_f64(double x);

// x^y for x > 0 as e^(y ln x): relative error below (3 + 3 |y ln x|) 2^-53 where |y ln x| < 700.
double pow_f64(double x, double y);

// log2 x for x > 0, exact where x is a power of two; absolute error below 2 ulp of max(1, |log2 x|).
double log2_f64(double x);
// 2^x for |x| <= 1000, exact where x is an integer; relative error below 4 2^-53.
double exp2_f64(double x);

struct SinCos {
  double sin, cos;
};
// Absolute error below 3e-16 for |x| < 2^27.
SinCos sin_cos_f64(double x);

}  // namespace pg
