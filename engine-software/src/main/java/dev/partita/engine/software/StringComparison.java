package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI: Intel SDM volume 2, 4.1 ("Imm8 control byte
/// operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM") and the instructions' pages.
///
/// The memory operand need not be aligned.
final class StringComparison extends Operation {
  // Aggregation: imm8[3:2].
  private static final int ANY = 0;
  private static final int RANGES = 1;
  private static final int EACH = 2;

  /// Bit 0 of the opcode: an index is wanted, not a mask. Bit 1: lengths are implicit.
  final int op;

  final int control;
  final boolean wide;
  final int first;
  final int second;
  final @Nullable MemoryOperand memory;

  StringComparison(Instruction i) {
    this.op = i.opcode;
    this.control = (int) i.immediate & 0x7F;
    this.wide = i.rexW() && i.is64();
    this.first = 4 * i.reg;
    this.second = 4 * i.rm;
    this.memory = i.memory;
  }

  @Override
  void execute(Cpu c) {
    c.requireSse();
    run(c);
  }

  /// Does the work, of the VEX-coded forms too.
  void run(Cpu c) {
    long[] x = c.xmm;
    long low;
    long high;
    var m = memory;
    if (m == null) {
      low = x[second];
      high = x[second + 1];
    } else {
      long address = m.readAddress(c, 16);
      low = c.load64(address);
      high = XmmMemory.loadHigh(c, m, address);
    }
    int count = (control & 1) == 0 ? 16 : 8;
    boolean implicit = (op & 2) != 0;
    int length1;
    int length2;
    if (implicit) {
      length1 = length(x[first], x[first + 1], count);
      length2 = length(low, high, count);
    } else {
      length1 = length(wide ? c.r[Cpu.RAX] : c.get32(Cpu.RAX), count);
      length2 = length(wide ? c.r[Cpu.RDX] : c.get32(Cpu.RDX), count);
    }
    int result = compare(x[first], x[first + 1], length1, low, high, length2, control);
    if ((op & 1) != 0) {
      c.r[Cpu.RCX] = index(result, count);
    } else if ((control & 0x40) == 0) {
      x[0] = result;
      x[1] = 0;
    } else {
      int width = 128 / count;
      x[0] = PackedShuffle.mask(result, width);
      x[1] = PackedShuffle.mask(result >> count / 2, width);
    }
    int flags = result != 0 ? Cpu.CF : 0;
    if (length2 < count) {
      flags |= Cpu.ZF;
    }
    if (length1 < count) {
      flags |= Cpu.SF;
    }
    if ((result & 1) != 0) {
      flags |= Cpu.OF;
    }
    c.setArithmeticFlags(flags);
  }

  private int index(int result, int count) {
    if (result == 0) {
      return count;
    }
    return (control & 0x40) == 0
        ? Integer.numberOfTrailingZeros(result)
        : 31 - Integer.numberOfLeadingZeros(result);
  }

  /// An explicit length: its absolute value, at most the number of elements.
  private static int length(long value, int count) {
    if (value < 0) {
      value = -value;
    }
    // The most negative number stays negative: as large as can be.
    return value < 0 || value > count ? count : (int) value;
  }

  /// Elements before the first that is 0.
  private static int length(long low, long high, int count) {
    int n = 0;
    while (n < count && element(low, high, n, count == 16 ? 0 : 1) != 0) {
      n++;
    }
    return n;
  }

  /// An element by number.
  ///
  /// @param format imm8[1:0]: bit 0 words, bit 1 signed
  private static int element(long low, long high, int n, int format) {
    if ((format & 1) == 0) {
      int v = (int) ((n < 8 ? low : high) >>> 8 * (n & 7));
      return (format & 2) == 0 ? v & 0xFF : (byte) v;
    }
    int v = (int) ((n < 4 ? low : high) >>> 16 * (n & 3));
    return (format & 2) == 0 ? v & 0xFFFF : (short) v;
  }

  /// IntRes2: one bit for each element of the second operand.
  ///
  /// @param length1 valid elements of the first operand
  /// @param control imm8
  static int compare(
      long low1, long high1, int length1, long low2, long high2, int length2, int control) {
    int format = control & 3;
    int count = (format & 1) == 0 ? 16 : 8;
    int result = 0;
    for (int j = 0; j < count; j++) {
      boolean set =
          switch (control >> 2 & 3) {
            case ANY ->
                j < length2 && any(low1, high1, length1, element(low2, high2, j, format), format);
            case RANGES ->
                j < length2
                    && inRange(low1, high1, length1, element(low2, high2, j, format), format);
            case EACH ->
                j < length1 && j < length2
                    ? element(low1, high1, j, format) == element(low2, high2, j, format)
                    : j >= length1 && j >= length2;
            default -> ordered(low1, high1, length1, low2, high2, length2, j, format);
          };
      if (set) {
        result |= 1 << j;
      }
    }
    int all = (1 << count) - 1;
    return switch (control >> 4 & 3) {
      case 1 -> result ^ all;
      case 3 -> result ^ (1 << length2) - 1;
      default -> result;
    };
  }

  private static boolean any(long low, long high, int length, int wanted, int format) {
    for (int i = 0; i < length; i++) {
      if (element(low, high, i, format) == wanted) {
        return true;
      }
    }
    return false;
  }

  /// Whether a value lies in one of the ranges given by pairs of elements.
  private static boolean inRange(long low, long high, int length, int value, int format) {
    for (int i = 0; i + 1 < length; i += 2) {
      if (value >= element(low, high, i, format) && value <= element(low, high, i + 1, format)) {
        return true;
      }
    }
    return false;
  }

  /// Whether the first operand, up to its end, stands in the second at an element. What goes past
  /// the last element of the register counts as equal.
  private static boolean ordered(
      long low1, long high1, int length1, long low2, long high2, int length2, int at, int format) {
    int count = (format & 1) == 0 ? 16 : 8;
    for (int i = 0; i < length1 && at + i < count; i++) {
      if (at + i >= length2
          || element(low1, high1, i, format) != element(low2, high2, at + i, format)) {
        return false;
      }
    }
    return true;
  }
}
