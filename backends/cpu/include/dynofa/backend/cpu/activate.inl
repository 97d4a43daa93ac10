// What an epilogue applies after scale and shift: included inside a namespace that defines vec, zero, broadcast, fma,
// mul, max and min. No include guard.

/// NaN stays NaN: it is the second operand of every max and min.
DYNOFA_CPU_FN vec activate(vec y, epilogue act) {
  switch (act) {
  case epilogue::relu: return max(zero(), y);
  case epilogue::relu6: return min(broadcast(6.f), max(zero(), y));
  case epilogue::h_swish: return mul(y, min(broadcast(1.f), max(zero(), fma(y, broadcast(1.f / 6), broadcast(.5f)))));
  case epilogue::h_sigmoid: return min(broadcast(1.f), max(zero(), fma(y, broadcast(1.f / 6), broadcast(.5f))));
  default: return y;
  }
}
