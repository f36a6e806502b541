package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;

import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;

/// Emits packed integer arithmetic: calls of {@link PackedInteger}'s methods, most of them so small
/// that the JVM's compilers inline them.
final class PackedEmitter {
  private static final ClassDesc PACKED = OperandEmitter.of(PackedInteger.class);
  private static final ClassDesc SUPPORT = OperandEmitter.of(VectorSupport.class);

  private final OperandEmitter e;
  private final VectorEmitter v;
  private final CodeBuilder b;

  PackedEmitter(OperandEmitter e, VectorEmitter v) {
    this.e = e;
    this.v = v;
    this.b = e.b;
  }

  /// {@link PackedInteger#half} of elements one after the other.
  ///
  /// @param count how many elements
  void halves(int op, int to, int first, int from, int count) {
    for (int i = 0; i < count; i++) {
      half(op, first + i, from + i);
      v.put(to + i);
    }
  }

  /// Pushes {@link PackedInteger#half} of two elements.
  private void half(int op, int first, int from) {
    switch (op) {
      case 0x54, 0xDB -> {
        pair(first, from);
        b.land();
      }
      case 0x55, 0xDF -> {
        pair(first, from);
        call("andNot");
      }
      case 0x56, 0xEB -> {
        pair(first, from);
        b.lor();
      }
      case 0x57, 0xEF -> {
        if (first == from) {
          b.lconst_0();
        } else {
          pair(first, from);
          b.lxor();
        }
      }
      case 0x64 -> compare("greater", first, from, PackedInteger.H8, 7);
      case 0x65 -> compare("greater", first, from, PackedInteger.H16, 15);
      case 0x66 -> compare("greater", first, from, PackedInteger.H32, 31);
      case 0x74 -> equal(first, from, PackedInteger.H8, 7);
      case 0x75 -> equal(first, from, PackedInteger.H16, 15);
      case 0x76 -> equal(first, from, PackedInteger.H32, 31);
      case 0xD4 -> {
        pair(first, from);
        b.ladd();
      }
      case 0xD8 -> compare("subtractUnsignedSaturated", first, from, PackedInteger.H8, 7);
      case 0xD9 -> compare("subtractUnsignedSaturated", first, from, PackedInteger.H16, 15);
      case 0xDA -> compare("minimumUnsigned", first, from, PackedInteger.H8, 7);
      case 0xDC -> compare("addUnsignedSaturated", first, from, PackedInteger.H8, 7);
      case 0xDD -> compare("addUnsignedSaturated", first, from, PackedInteger.H16, 15);
      case 0xDE -> compare("maximumUnsigned", first, from, PackedInteger.H8, 7);
      case 0xE8 -> compare("subtractSaturated", first, from, PackedInteger.H8, 7);
      case 0xE9 -> compare("subtractSaturated", first, from, PackedInteger.H16, 15);
      case 0xEA -> compare("minimum", first, from, PackedInteger.H16, 15);
      case 0xEC -> compare("addSaturated", first, from, PackedInteger.H8, 7);
      case 0xED -> compare("addSaturated", first, from, PackedInteger.H16, 15);
      case 0xEE -> compare("maximum", first, from, PackedInteger.H16, 15);
      case 0xF4 -> binary("pmuludq", first, from);
      case 0xF5 -> binary("pmaddwd", first, from);
      case 0xF6 -> binary("psadbw", first, from);
      case 0xF8 -> masked("subtract", first, from, PackedInteger.H8);
      case 0xF9 -> masked("subtract", first, from, PackedInteger.H16);
      case 0xFA -> masked("subtract", first, from, PackedInteger.H32);
      case 0xFB -> {
        pair(first, from);
        b.lsub();
      }
      case 0xFC -> masked("add", first, from, PackedInteger.H8);
      case 0xFD -> masked("add", first, from, PackedInteger.H16);
      case 0xFE -> masked("add", first, from, PackedInteger.H32);
      case 0x3838 -> compare("minimum", first, from, PackedInteger.H8, 7);
      case 0x3839 -> compare("minimum", first, from, PackedInteger.H32, 31);
      case 0x383A -> compare("minimumUnsigned", first, from, PackedInteger.H16, 15);
      case 0x383B -> compare("minimumUnsigned", first, from, PackedInteger.H32, 31);
      case 0x383C -> compare("maximum", first, from, PackedInteger.H8, 7);
      case 0x383D -> compare("maximum", first, from, PackedInteger.H32, 31);
      case 0x383E -> compare("maximumUnsigned", first, from, PackedInteger.H16, 15);
      case 0x383F -> compare("maximumUnsigned", first, from, PackedInteger.H32, 31);
      case 0x3840 -> binary("pmulld", first, from);
      default -> {
        b.loadConstant(op);
        pair(first, from);
        e.invoke(SUPPORT, "half", CD_long, CD_int, CD_long, CD_long);
      }
    }
  }

  private void pair(int first, int from) {
    v.get(first);
    v.get(from);
  }

  private void binary(String name, int first, int from) {
    pair(first, from);
    call(name);
  }

  private void masked(String name, int first, int from, long mask) {
    pair(first, from);
    b.loadConstant(mask);
    e.invoke(PACKED, name, CD_long, CD_long, CD_long, CD_long);
  }

  private void compare(String name, int first, int from, long mask, int width) {
    pair(first, from);
    b.loadConstant(mask).loadConstant(width);
    e.invoke(PACKED, name, CD_long, CD_long, CD_long, CD_long, CD_int);
  }

  private void equal(int first, int from, long mask, int width) {
    if (first == from) {
      b.loadConstant(-1L);
    } else {
      compare("equal", first, from, mask, width);
    }
  }

  /// Replaces two longs on the stack.
  private void call(String name) {
    e.invoke(PACKED, name, CD_long, CD_long, CD_long);
  }

  // ---- Shifts

  /// {@link PackedInteger#shift} by a constant.
  void shift(int op, int to, int from, int count, int elements) {
    for (int i = 0; i < elements; i++) {
      v.get(from + i);
      shiftOnce(op, count);
      v.put(to + i);
    }
  }

  private void shiftOnce(int op, int count) {
    int bits = 8 << (op & 3);
    switch (op) {
      case 0xD1, 0xD2, 0xD3 -> {
        if (count >= bits) {
          b.pop2().lconst_0();
        } else if (count != 0) {
          b.loadConstant(count).lushr();
          mask(-1L >>> 64 - bits + count, bits);
        }
      }
      case 0xF1, 0xF2, 0xF3 -> {
        if (count >= bits) {
          b.pop2().lconst_0();
        } else if (count != 0) {
          b.loadConstant(count).lshl();
          mask(-1L << count & -1L >>> 64 - bits, bits);
        }
      }
      case 0xE2 -> {
        b.loadConstant(Math.min(count, 31));
        e.invoke(PACKED, "shiftArithmetic32", CD_long, CD_long, CD_int);
      }
      default -> {
        b.loadConstant(Math.min(count, 15));
        e.invoke(PACKED, "shiftArithmetic16", CD_long, CD_long, CD_int);
      }
    }
  }

  /// Keeps bits of each element.
  private void mask(long element, int bits) {
    if (bits < 64) {
      b.loadConstant(bits == 16 ? element * 0x0001_0001_0001_0001L : element * 0x1_0000_0001L);
      b.land();
    }
  }

  /// {@link PackedInteger#shift} by the count in an element.
  void shiftBy(int op, int to, int first, int from, int elements) {
    for (int i = 0; i < elements; i++) {
      b.loadConstant(op);
      v.get(first + i);
      v.get(from);
      e.invoke(SUPPORT, "shift", CD_long, CD_int, CD_long, CD_long);
      b.lstore(OperandEmitter.TEMPORARY + 2 * i);
    }
    store(to, elements);
  }

  /// Puts what is in the temporary locals to elements one after the other.
  private void store(int to, int elements) {
    for (int i = 0; i < elements; i++) {
      b.lload(OperandEmitter.TEMPORARY + 2 * i);
      v.put(to + i);
    }
  }

  /// A lane shifted by whole bytes: bits 127:0 of `above:below` shifted right.
  ///
  /// @param above index of the upper 16 bytes, or -1: they are 0
  /// @param below index of the lower 16 bytes, or -1
  void align(int to, int above, int below, int bytes) {
    part(above, below, bytes);
    b.lstore(OperandEmitter.TEMPORARY);
    part(above, below, bytes + 8);
    b.lstore(OperandEmitter.TEMPORARY + 2);
    store(to, 2);
  }

  /// Pushes eight bytes of `above:below`.
  private void part(int above, int below, int bytes) {
    int number = bytes >> 3;
    int shift = 8 * (bytes & 7);
    word(above, below, number);
    if (shift != 0) {
      b.loadConstant(shift).lushr();
      word(above, below, number + 1);
      b.loadConstant(64 - shift).lshl().lor();
    }
  }

  private void word(int above, int below, int number) {
    int at = number < 2 ? below : above;
    if (number > 3 || at < 0) {
      b.lconst_0();
    } else {
      v.get(at + (number & 1));
    }
  }

  // ---- Interleaving and shuffling

  /// PUNPCKL and PUNPCKH on a lane.
  ///
  /// @param log 0 for bytes, 1 for words, 2 for doublewords, 3 for quadwords
  void interleave(int to, int first, int from, int log, boolean high) {
    int half = high ? 1 : 0;
    v.get(first + half);
    b.lstore(OperandEmitter.TEMPORARY);
    v.get(from + half);
    b.lstore(OperandEmitter.TEMPORARY + 2);
    if (log == 3) {
      store(to, 2);
      return;
    }
    for (int i = 0; i < 2; i++) {
      for (int k = 0; k < 2; k++) {
        b.lload(OperandEmitter.TEMPORARY + 2 * k);
        if (i == 1) {
          b.bipush(32).lushr();
        }
      }
      call(log == 0 ? "interleaveBytes" : log == 1 ? "interleaveWords" : "interleaveDwords");
      v.put(to + i);
    }
  }

  /// Two of the doublewords of a lane each for the lower and the upper half: PSHUFD, SHUFPS.
  void shuffleDwords(int to, int first, int second, int control) {
    for (int i = 0; i < 2; i++) {
      int from = i == 0 ? first : second;
      dword(from, control >> 4 * i);
      dword(from, control >> 4 * i + 2);
      call("interleaveDwords");
      b.lstore(OperandEmitter.TEMPORARY + 2 * i);
    }
    store(to, 2);
  }

  /// Pushes a doubleword with anything above it.
  private void dword(int from, int number) {
    v.get(from + (number >> 1 & 1));
    if ((number & 1) != 0) {
      b.bipush(32).lushr();
    }
  }

  /// PSHUFLW, PSHUFHW.
  void shuffleWords(int to, int from, int control, boolean high) {
    v.get(from);
    if (!high) {
      shuffleWords(control);
    }
    b.lstore(OperandEmitter.TEMPORARY);
    v.get(from + 1);
    if (high) {
      shuffleWords(control);
    }
    b.lstore(OperandEmitter.TEMPORARY + 2);
    store(to, 2);
  }

  private void shuffleWords(int control) {
    b.loadConstant(control);
    e.invoke(PACKED, "shuffleWords", CD_long, CD_long, CD_int);
  }

  /// PSHUFB on a lane.
  void shuffleBytes(int to, int first, int from) {
    for (int i = 0; i < 2; i++) {
      v.get(first);
      v.get(first + 1);
      v.get(from + i);
      e.invoke(PACKED, "shuffleBytes", CD_long, CD_long, CD_long, CD_long);
      b.lstore(OperandEmitter.TEMPORARY + 2 * i);
    }
    store(to, 2);
  }

  /// PACK, PHADD, PHSUB on a lane.
  void join(int op, int to, int first, int from) {
    for (int i = 0; i < 2; i++) {
      int at = i == 0 ? first : from;
      b.loadConstant(op);
      v.get(at);
      v.get(at + 1);
      e.invoke(SUPPORT, "join", CD_long, CD_int, CD_long, CD_long);
      b.lstore(OperandEmitter.TEMPORARY + 2 * i);
    }
    store(to, 2);
  }

  /// Replaces a mask, a value and another on the stack by what {@link PackedInteger#select} gives.
  void select() {
    e.invoke(PACKED, "select", CD_long, CD_long, CD_long, CD_long);
  }

  /// Pushes the top bits of the bytes of elements as an int.
  void topBits(int from, int elements) {
    for (int i = 0; i < elements; i++) {
      v.get(from + i);
      e.invoke(PACKED, "topBits", CD_int, CD_long);
      if (i != 0) {
        b.loadConstant(8 * i).ishl().ior();
      }
    }
  }

  /// Two elements for the lower and the upper half.
  void choose(int to, int low, int high) {
    v.get(low);
    b.lstore(OperandEmitter.TEMPORARY);
    v.get(high);
    b.lstore(OperandEmitter.TEMPORARY + 2);
    store(to, 2);
  }

  /// MOVSS between registers: the low half of an element.
  void mergeSingle(int to, int first, int from) {
    b.loadConstant(0xFFFF_FFFFL);
    v.get(from);
    v.get(first);
    select();
    v.put(to);
  }

  /// Blends by constants.
  void blend(int to, int first, int from, long maskLow, long maskHigh) {
    for (int i = 0; i < 2; i++) {
      b.loadConstant(i == 0 ? maskLow : maskHigh);
      v.get(from + i);
      v.get(first + i);
      select();
      v.put(to + i);
    }
  }

  /// Blends by the top bits of XMM0's elements.
  void blendVariable(int to, int first, int from, int width) {
    for (int i = 0; i < 2; i++) {
      v.get(i);
      if (width == 64) {
        b.bipush(63).lshr();
      } else {
        b.loadConstant(width == 8 ? PackedInteger.H8 : PackedInteger.H32).land();
        b.loadConstant(width - 1);
        e.invoke(PACKED, "spread", CD_long, CD_long, CD_int);
      }
      v.get(from + i);
      v.get(first + i);
      select();
      b.lstore(OperandEmitter.TEMPORARY + 2 * i);
    }
    store(to, 2);
  }

  /// Fills elements with copies of the lowest bits of one.
  void broadcast(int bits, int to, int from, int elements) {
    v.get(from);
    switch (bits) {
      case 8 -> b.loadConstant(0xFFL).land().loadConstant(0x0101_0101_0101_0101L).lmul();
      case 16 -> b.loadConstant(0xFFFFL).land().loadConstant(0x0001_0001_0001_0001L).lmul();
      case 32 -> {
        b.dup2();
        call("interleaveDwords");
      }
      default -> {}
    }
    b.lstore(OperandEmitter.TEMPORARY);
    for (int i = 0; i < elements; i++) {
      b.lload(OperandEmitter.TEMPORARY);
      v.put(to + i);
    }
  }

  /// Pushes the sign bits of elements as an int: MOVMSKPS, MOVMSKPD.
  void signs(int from, boolean doubles, int elements) {
    int each = doubles ? 1 : 2;
    for (int i = 0; i < elements; i++) {
      v.get(from + i);
      b.bipush(63).lushr().l2i();
      if (!doubles) {
        b.iconst_1().ishl();
        v.get(from + i);
        b.l2i().bipush(31).iushr().ior();
      }
      if (i != 0) {
        b.loadConstant(each * i).ishl().ior();
      }
    }
  }
}
