package dev.partita.engine.software;

/// Packed integer arithmetic on 64 bits: an MMX register, or one half of an XMM register.
///
/// Most of it works on all elements of a long at once. H is the mask of the elements' top bits; a
/// truth value of an element is first its top bit, then spread over the element.
///
/// Meaning: Intel SDM volume 2, the instruction of the method's name.
final class PackedInteger {
  static final long H8 = 0x8080_8080_8080_8080L;
  static final long H16 = 0x8000_8000_8000_8000L;
  static final long H32 = 0x8000_0000_8000_0000L;

  private PackedInteger() {}

  /// What an instruction does to each half on its own.
  ///
  /// @param op the opcode in map 0F, or 0x3800 plus the opcode in map 0F38
  static long half(int op, long a, long b) {
    // By groups: the first compiler makes a chain of comparisons of a switch.
    if (op < 0xE0) {
      return op < 0x80 ? half0fLow(op, a, b) : half0fD(op, a, b);
    }
    if (op < 0x100) {
      return op < 0xF0 ? half0fE(op, a, b) : half0fF(op, a, b);
    }
    return op < 0x3820 ? half0f38Low(op, a, b) : half0f38High(op, a, b);
  }

  private static long half0fLow(int op, long a, long b) {
    return switch (op) {
      case 0x54 -> a & b;
      case 0x55 -> andNot(a, b);
      case 0x56 -> a | b;
      case 0x57 -> a ^ b;
      case 0x64 -> greater(a, b, H8, 7);
      case 0x65 -> greater(a, b, H16, 15);
      case 0x66 -> greater(a, b, H32, 31);
      case 0x74 -> equal(a, b, H8, 7);
      case 0x75 -> equal(a, b, H16, 15);
      case 0x76 -> equal(a, b, H32, 31);
      default -> throw unknown(op);
    };
  }

  private static long half0fD(int op, long a, long b) {
    return switch (op) {
      case 0xDB -> a & b;
      case 0xDF -> andNot(a, b);
      case 0xD4 -> a + b;
      case 0xD5 -> pmullw(a, b);
      case 0xD8 -> subtractUnsignedSaturated(a, b, H8, 7);
      case 0xD9 -> subtractUnsignedSaturated(a, b, H16, 15);
      case 0xDA -> minimumUnsigned(a, b, H8, 7);
      case 0xDC -> addUnsignedSaturated(a, b, H8, 7);
      case 0xDD -> addUnsignedSaturated(a, b, H16, 15);
      case 0xDE -> maximumUnsigned(a, b, H8, 7);
      default -> throw unknown(op);
    };
  }

  private static long half0fE(int op, long a, long b) {
    return switch (op) {
      case 0xEB -> a | b;
      case 0xEF -> a ^ b;
      case 0xE0 -> (a | b) - (((a ^ b) & 0xFEFE_FEFE_FEFE_FEFEL) >>> 1);
      case 0xE3 -> (a | b) - (((a ^ b) & 0xFFFE_FFFE_FFFE_FFFEL) >>> 1);
      case 0xE4 -> pmulhuw(a, b);
      case 0xE5 -> pmulhw(a, b);
      case 0xE8 -> subtractSaturated(a, b, H8, 7);
      case 0xE9 -> subtractSaturated(a, b, H16, 15);
      case 0xEA -> minimum(a, b, H16, 15);
      case 0xEC -> addSaturated(a, b, H8, 7);
      case 0xED -> addSaturated(a, b, H16, 15);
      case 0xEE -> maximum(a, b, H16, 15);
      default -> throw unknown(op);
    };
  }

  private static long half0fF(int op, long a, long b) {
    return switch (op) {
      case 0xF4 -> pmuludq(a, b);
      case 0xF5 -> pmaddwd(a, b);
      case 0xF6 -> psadbw(a, b);
      case 0xF8 -> subtract(a, b, H8);
      case 0xF9 -> subtract(a, b, H16);
      case 0xFA -> subtract(a, b, H32);
      case 0xFB -> a - b;
      case 0xFC -> add(a, b, H8);
      case 0xFD -> add(a, b, H16);
      case 0xFE -> add(a, b, H32);
      default -> throw unknown(op);
    };
  }

  private static long half0f38Low(int op, long a, long b) {
    return switch (op) {
      case 0x3804 -> pmaddubsw(a, b);
      case 0x3808 -> sign(a, b, H8, 7);
      case 0x3809 -> sign(a, b, H16, 15);
      case 0x380A -> sign(a, b, H32, 31);
      case 0x380B -> pmulhrsw(a, b);
      case 0x381C -> absolute(b, H8, 7);
      case 0x381D -> absolute(b, H16, 15);
      case 0x381E -> absolute(b, H32, 31);
      default -> throw unknown(op);
    };
  }

  private static long half0f38High(int op, long a, long b) {
    return switch (op) {
      case 0x3828 -> (long) (int) a * (int) b;
      case 0x3829 -> a == b ? -1L : 0;
      case 0x3837 -> a > b ? -1L : 0;
      case 0x3838 -> minimum(a, b, H8, 7);
      case 0x3839 -> minimum(a, b, H32, 31);
      case 0x383A -> minimumUnsigned(a, b, H16, 15);
      case 0x383B -> minimumUnsigned(a, b, H32, 31);
      case 0x383C -> maximum(a, b, H8, 7);
      case 0x383D -> maximum(a, b, H32, 31);
      case 0x383E -> maximumUnsigned(a, b, H16, 15);
      case 0x383F -> maximumUnsigned(a, b, H32, 31);
      case 0x3840 -> pmulld(a, b);
      default -> throw unknown(op);
    };
  }

  private static IllegalArgumentException unknown(int op) {
    return new IllegalArgumentException("not a packed operation: " + op);
  }

  /// Whether {@link #half} knows an opcode of map 0F.
  static boolean isHalf(int opcode) {
    return switch (opcode) {
      case 0x64, 0x65, 0x66, 0x74, 0x75, 0x76 -> true;
      case 0xD4, 0xD5, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF -> true;
      case 0xE0, 0xE3, 0xE4, 0xE5, 0xE8, 0xE9, 0xEA, 0xEB, 0xEC, 0xED, 0xEE, 0xEF -> true;
      case 0xF4, 0xF5, 0xF6, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE -> true;
      default -> false;
    };
  }

  // Small methods: the JVM's first compiler inlines what has 35 bytes of bytecode at most, and the
  // translator calls them (PackedEmitter).

  static long andNot(long a, long b) {
    return ~a & b;
  }

  // ---- Adding and subtracting

  static long add(long a, long b, long h) {
    return (a & ~h) + (b & ~h) ^ (a ^ b) & h;
  }

  static long subtract(long a, long b, long h) {
    return (a | h) - (b & ~h) ^ (a ^ ~b) & h;
  }

  /// Spreads top bits over their elements.
  ///
  /// @param top bits of H only
  /// @param width the element's bits less one
  static long spread(long top, int width) {
    return top | top - (top >>> width);
  }

  static long select(long mask, long yes, long no) {
    return no ^ (yes ^ no) & mask;
  }

  static long addUnsignedSaturated(long a, long b, long h, int width) {
    long sum = add(a, b, h);
    // A top bit carries out where both are set, or one is and the sum's is not.
    return sum | spread(select(a ^ b, ~sum, a) & h, width);
  }

  static long subtractUnsignedSaturated(long a, long b, long h, int width) {
    long difference = subtract(a, b, h);
    // A top bit borrows where b's is set and a's is not, or both are equal and the difference's is.
    return difference & ~spread(select(a ^ b, b, difference) & h, width);
  }

  static long addSaturated(long a, long b, long h, int width) {
    long sum = add(a, b, h);
    return saturated(sum, ~(a ^ b) & (a ^ sum) & h, a, h, width);
  }

  static long subtractSaturated(long a, long b, long h, int width) {
    long difference = subtract(a, b, h);
    return saturated(difference, (a ^ b) & (a ^ difference) & h, a, h, width);
  }

  /// Where there was overflow: the largest value, or the smallest where a was negative.
  private static long saturated(long result, long overflow, long a, long h, int width) {
    long limit = (h - (h >>> width)) + ((a & h) >>> width);
    return select(spread(overflow, width), limit, result);
  }

  // ---- Comparing

  static long equal(long a, long b, long h, int width) {
    return zero(a ^ b, h, width);
  }

  private static long zero(long x, long h, int width) {
    return spread(~((x & ~h) + ~h | x) & h, width);
  }

  /// Signed a > b.
  static long greater(long a, long b, long h, int width) {
    long d = subtract(b, a, h);
    return spread(select(a ^ b, b, d) & h, width);
  }

  static long minimum(long a, long b, long h, int width) {
    return select(greater(a, b, h, width), b, a);
  }

  static long maximum(long a, long b, long h, int width) {
    return select(greater(a, b, h, width), a, b);
  }

  static long minimumUnsigned(long a, long b, long h, int width) {
    return select(greater(a ^ h, b ^ h, h, width), b, a);
  }

  static long maximumUnsigned(long a, long b, long h, int width) {
    return select(greater(a ^ h, b ^ h, h, width), a, b);
  }

  /// PMOVMSKB of 8 bytes.
  static int topBits(long a) {
    return (int) (((a & H8) >>> 7) * 0x0102_0408_1020_4080L >>> 56);
  }

  static long sign(long a, long b, long h, int width) {
    long negative = spread(b & h, width);
    return subtract(a ^ negative, negative, h) & ~equal(b, 0, h, width);
  }

  static long absolute(long a, long h, int width) {
    long negative = spread(a & h, width);
    return subtract(a ^ negative, negative, h);
  }

  // ---- Multiplying

  static long pmullw(long a, long b) {
    long r = 0;
    for (int i = 0; i < 64; i += 16) {
      r |= ((a >>> i) * (b >>> i) & 0xFFFF) << i;
    }
    return r;
  }

  static long pmulhw(long a, long b) {
    long r = 0;
    for (int i = 0; i < 64; i += 16) {
      r |= ((long) ((short) (a >>> i) * (short) (b >>> i) >> 16) & 0xFFFF) << i;
    }
    return r;
  }

  static long pmulhuw(long a, long b) {
    long r = 0;
    for (int i = 0; i < 64; i += 16) {
      r |= ((a >>> i & 0xFFFF) * (b >>> i & 0xFFFF) >>> 16) << i;
    }
    return r;
  }

  static long pmulhrsw(long a, long b) {
    long r = 0;
    for (int i = 0; i < 64; i += 16) {
      int product = (short) (a >>> i) * (short) (b >>> i);
      r |= ((long) ((product >> 14) + 1 >> 1) & 0xFFFF) << i;
    }
    return r;
  }

  static long pmulld(long a, long b) {
    return (a * b & 0xFFFF_FFFFL) | (a >>> 32) * (b >>> 32) << 32;
  }

  static long pmuludq(long a, long b) {
    return (a & 0xFFFF_FFFFL) * (b & 0xFFFF_FFFFL);
  }

  static long pmaddwd(long a, long b) {
    int low = (short) a * (short) b + (short) (a >>> 16) * (short) (b >>> 16);
    int high = (short) (a >>> 32) * (short) (b >>> 32) + (short) (a >>> 48) * (short) (b >>> 48);
    return (low & 0xFFFF_FFFFL) | (long) high << 32;
  }

  static long pmaddubsw(long a, long b) {
    long r = 0;
    for (int i = 0; i < 64; i += 16) {
      int sum =
          (int) (a >>> i & 0xFF) * (byte) (b >>> i)
              + (int) (a >>> i + 8 & 0xFF) * (byte) (b >>> i + 8);
      r |= ((long) saturate16(sum) & 0xFFFF) << i;
    }
    return r;
  }

  static long psadbw(long a, long b) {
    return sumOfBytes(
        subtractUnsignedSaturated(a, b, H8, 7) | subtractUnsignedSaturated(b, a, H8, 7));
  }

  private static long sumOfBytes(long a) {
    long words = (a & 0x00FF_00FF_00FF_00FFL) + (a >>> 8 & 0x00FF_00FF_00FF_00FFL);
    return words * 0x0001_0001_0001_0001L >>> 48;
  }

  static int saturate16(int v) {
    return Math.max(Short.MIN_VALUE, Math.min(Short.MAX_VALUE, v));
  }

  // ---- Two sources into one: MMX takes both operands, an XMM half both halves of one operand

  /// PACK and PHADD, PHSUB: half the elements from each source.
  ///
  /// @param op the opcode in map 0F, or 0x3800 plus the opcode in map 0F38
  static long join(int op, long a, long b) {
    return switch (op) {
      case 0x63 -> packWords(a, -128, 127) | packWords(b, -128, 127) << 32;
      case 0x67 -> packWords(a, 0, 255) | packWords(b, 0, 255) << 32;
      case 0x6B ->
          packDwords(a, Short.MIN_VALUE, Short.MAX_VALUE)
              | packDwords(b, Short.MIN_VALUE, Short.MAX_VALUE) << 32;
      case 0x382B -> packDwords(a, 0, 0xFFFF) | packDwords(b, 0, 0xFFFF) << 32;
      case 0x3801, 0x3803, 0x3805, 0x3807 -> acrossWords(op, a) | acrossWords(op, b) << 32;
      case 0x3802, 0x3806 -> acrossDwords(op, a) | acrossDwords(op, b) << 32;
      default -> throw new IllegalArgumentException("not a joining operation: " + op);
    };
  }

  private static long packWords(long a, int least, int most) {
    long r = 0;
    for (int i = 0; i < 4; i++) {
      int v = Math.max(least, Math.min(most, (short) (a >>> 16 * i)));
      r |= (long) (v & 0xFF) << 8 * i;
    }
    return r;
  }

  private static long packDwords(long a, int least, int most) {
    int low = Math.max(least, Math.min(most, (int) a));
    int high = Math.max(least, Math.min(most, (int) (a >>> 32)));
    return (low & 0xFFFF) | (high & 0xFFFFL) << 16;
  }

  private static long acrossWords(int op, long a) {
    return acrossPair(op, (short) a, (short) (a >>> 16))
        | acrossPair(op, (short) (a >>> 32), (short) (a >>> 48)) << 16;
  }

  private static long acrossPair(int op, int first, int second) {
    int v =
        switch (op) {
          case 0x3801 -> first + second;
          case 0x3803 -> saturate16(first + second);
          case 0x3805 -> first - second;
          default -> saturate16(first - second);
        };
    return v & 0xFFFF;
  }

  private static long acrossDwords(int op, long a) {
    int first = (int) a;
    int second = (int) (a >>> 32);
    return (op == 0x3802 ? first + second : first - second) & 0xFFFF_FFFFL;
  }

  // ---- Interleaving

  /// The low halves of two longs, interleaved: PUNPCKL of an MMX register.
  ///
  /// @param log 0 for bytes, 1 for words, 2 for doublewords
  static long interleaveLow(long a, long b, int log) {
    return switch (log) {
      case 0 -> interleaveBytes(a, b);
      case 1 -> interleaveWords(a, b);
      default -> interleaveDwords(a, b);
    };
  }

  static long interleaveBytes(long a, long b) {
    return spreadBytes(a) | spreadBytes(b) << 8;
  }

  static long interleaveWords(long a, long b) {
    return spreadWords(a) | spreadWords(b) << 16;
  }

  static long interleaveDwords(long a, long b) {
    return a & 0xFFFF_FFFFL | b << 32;
  }

  /// The low two words as two doublewords.
  private static long spreadWords(long a) {
    return (a & 0xFFFF) | (a & 0xFFFF_0000L) << 16;
  }

  static long interleaveHigh(long a, long b, int log) {
    return interleaveLow(a >>> 32, b >>> 32, log);
  }

  /// The low four bytes as four words.
  static long spreadBytes(long a) {
    long v = a & 0xFFFF_FFFFL;
    v = (v | v << 16) & 0x0000_FFFF_0000_FFFFL;
    return (v | v << 8) & 0x00FF_00FF_00FF_00FFL;
  }

  // ---- Shifting

  /// A shift of all elements by one count.
  ///
  /// @param op the opcode of the form with the count in a register: D1 to D3, E1, E2, F1 to F3
  /// @param count unsigned 64 bits
  static long shift(int op, long a, long count) {
    int n = Long.compareUnsigned(count, 64) >= 0 ? 64 : (int) count;
    return switch (op) {
      case 0xD1 -> n > 15 ? 0 : a >>> n & (0xFFFFL >>> n) * 0x0001_0001_0001_0001L;
      case 0xD2 -> n > 31 ? 0 : a >>> n & (0xFFFF_FFFFL >>> n) * 0x1_0000_0001L;
      case 0xD3 -> n > 63 ? 0 : a >>> n;
      case 0xE1 -> shiftArithmetic16(a, Math.min(n, 15));
      case 0xE2 -> shiftArithmetic32(a, Math.min(n, 31));
      case 0xF1 -> n > 15 ? 0 : a << n & (0xFFFFL << n & 0xFFFF) * 0x0001_0001_0001_0001L;
      case 0xF2 -> n > 31 ? 0 : a << n & (0xFFFF_FFFFL << n & 0xFFFF_FFFFL) * 0x1_0000_0001L;
      default -> n > 63 ? 0 : a << n;
    };
  }

  static long shiftArithmetic32(long a, int n) {
    return ((int) a >> n & 0xFFFF_FFFFL) | (long) ((int) (a >>> 32) >> n) << 32;
  }

  static long shiftArithmetic16(long a, int n) {
    long logical = a >>> n & (0xFFFFL >>> n) * 0x0001_0001_0001_0001L;
    long signs = spread(a & H16, 15);
    return logical | signs & (0xFFFFL << 16 - n & 0xFFFF) * 0x0001_0001_0001_0001L;
  }

  // ---- Shuffling

  /// PSHUFB of 8 bytes of an MMX register.
  static long shuffleBytes(long a, long control) {
    long r = 0;
    for (int i = 0; i < 64; i += 8) {
      int k = (int) (control >>> i);
      if ((k & 0x80) == 0) {
        r |= (a >>> 8 * (k & 7) & 0xFF) << i;
      }
    }
    return r;
  }

  /// PSHUFB of 8 bytes out of 16.
  static long shuffleBytes(long low, long high, long control) {
    long r = 0;
    for (int i = 0; i < 64; i += 8) {
      int k = (int) (control >>> i);
      if ((k & 0x80) == 0) {
        r |= (((k & 8) == 0 ? low : high) >>> 8 * (k & 7) & 0xFF) << i;
      }
    }
    return r;
  }

  /// PSHUFW, PSHUFLW, PSHUFHW: the words of one long by four 2-bit numbers.
  static long shuffleWords(long a, int control) {
    return (a >>> 16 * (control & 3) & 0xFFFF)
        | (a >>> 16 * (control >> 2 & 3) & 0xFFFF) << 16
        | (a >>> 16 * (control >> 4 & 3) & 0xFFFF) << 32
        | a >>> 16 * (control >> 6 & 3) << 48;
  }

  /// One of four doublewords.
  static long dword(long low, long high, int number) {
    return ((number & 2) == 0 ? low : high) >>> 32 * (number & 1) & 0xFFFF_FFFFL;
  }

  /// PALIGNR of an MMX register: 8 bytes out of `high:low`.
  static long align(long high, long low, int bytes) {
    if (bytes >= 16) {
      return 0;
    }
    if (bytes >= 8) {
      return high >>> 8 * (bytes - 8);
    }
    return bytes == 0 ? low : low >>> 8 * bytes | high << 64 - 8 * bytes;
  }

  /// MPSADBW: four sums of absolute differences of 4 bytes.
  ///
  /// @param a 11 bytes of the first operand from its offset, as bytes 7:0
  /// @param above and bytes 10:8
  /// @param b the four bytes of the second operand
  static long sumsOfDifferences(long a, long above, int b) {
    long r = 0;
    for (int i = 0; i < 4; i++) {
      long from = i == 0 ? a : a >>> 8 * i | above << 64 - 8 * i;
      r |= psadbw(from & 0xFFFF_FFFFL, b & 0xFFFF_FFFFL) << 16 * i;
    }
    return r;
  }
}
