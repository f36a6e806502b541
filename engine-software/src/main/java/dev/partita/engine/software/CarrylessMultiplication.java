package dev.partita.engine.software;

/// PCLMULQDQ: Intel SDM volume 2.
final class CarrylessMultiplication extends XmmOperation {
  final int control;

  CarrylessMultiplication(Instruction i) {
    super(i);
    this.control = (int) i.immediate & 0xFF;
  }

  @Override
  void apply(Cpu c, long low, long high) {
    long[] x = c.xmm;
    long a = x[to + (control & 1)];
    long b = (control & 0x10) == 0 ? low : high;
    x[to] = low(a, b);
    x[to + 1] = high(a, b);
  }

  /// Bits 63:0 of the product over GF(2).
  ///
  /// Ordinary multiplications of every fourth bit: the carries of up to 16 partial products stay in
  /// the three bits between.
  static long low(long a, long b) {
    long r = 0;
    for (int i = 0; i < 4; i++) {
      long m = 0;
      for (int j = 0; j < 4; j++) {
        m ^= (a & 0x1111_1111_1111_1111L << j) * (b & 0x1111_1111_1111_1111L << (i - j & 3));
      }
      r |= m & 0x1111_1111_1111_1111L << i;
    }
    return r;
  }

  /// Bits 126:64: the low product of the operands mirrored, mirrored, and moved down by one.
  static long high(long a, long b) {
    return Long.reverse(low(Long.reverse(a), Long.reverse(b))) >>> 1;
  }
}
