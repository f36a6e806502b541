package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// The SHA extensions: Intel SDM volume 2 (SHA1RNDS4 and so on); the hashes are FIPS 180-4's.
/// Doublewords are named from the top: w0 is bits 127:96.
final class Sha extends XmmOperation {
  private static final int SHA1RNDS4 = 0xCC00;

  final int op;
  final int function;

  private Sha(Instruction i, int op) {
    super(i);
    this.op = op;
    this.function = (int) i.immediate & 3;
  }

  /// Opcodes C8 to CF of map 0F38 and CC of map 0F3A, no prefix.
  static @Nullable Operation create(Instruction i) {
    if (i.map == Instruction.MAP_0F3A) {
      return new Sha(i, SHA1RNDS4);
    }
    return i.opcode <= 0xCD ? new Sha(i, i.opcode) : null;
  }

  @Override
  void apply(Cpu c, long low, long high) {
    long[] x = c.xmm;
    switch (op) {
      case SHA1RNDS4 -> rounds1(x, to, low, high, function);
      case 0xC8 -> {
        // SHA1NEXTE
        int e = Integer.rotateLeft((int) (x[to + 1] >>> 32), 30);
        x[to] = low;
        x[to + 1] = high + ((long) e << 32);
      }
      case 0xC9 -> {
        // SHA1MSG1: w0 ^= w2, w1 ^= w3, w2 ^= w4, w3 ^= w5
        long a = x[to + 1];
        x[to + 1] = a ^ x[to];
        x[to] ^= high;
      }
      case 0xCA -> messages1(x, to, low, high);
      case 0xCB -> rounds256(x, to, low, high);
      case 0xCC -> messages256(x, to, low);
      default -> lastMessages256(x, to, low, high);
    }
  }

  private static long pack(int high, int low) {
    return (long) high << 32 | low & 0xFFFF_FFFFL;
  }

  private static void rounds1(long[] x, int to, long low, long high, int function) {
    int a = (int) (x[to + 1] >>> 32);
    int b = (int) x[to + 1];
    int c = (int) (x[to] >>> 32);
    int d = (int) x[to];
    int e = 0;
    int constant =
        switch (function) {
          case 0 -> 0x5A82_7999;
          case 1 -> 0x6ED9_EBA1;
          case 2 -> 0x8F1B_BCDC;
          default -> 0xCA62_C1D6;
        };
    for (int k = 0; k < 4; k++) {
      int f =
          switch (function) {
            case 0 -> b & c ^ ~b & d;
            case 2 -> b & c ^ b & d ^ c & d;
            default -> b ^ c ^ d;
          };
      int w = (int) ((k < 2 ? high : low) >>> ((k & 1) == 0 ? 32 : 0));
      int next = f + Integer.rotateLeft(a, 5) + w + e + constant;
      e = d;
      d = c;
      c = Integer.rotateLeft(b, 30);
      b = a;
      a = next;
    }
    x[to + 1] = pack(a, b);
    x[to] = pack(c, d);
  }

  private static void messages1(long[] x, int to, long low, long high) {
    int w16 = Integer.rotateLeft((int) (x[to + 1] >>> 32) ^ (int) high, 1);
    int w17 = Integer.rotateLeft((int) x[to + 1] ^ (int) (low >>> 32), 1);
    int w18 = Integer.rotateLeft((int) (x[to] >>> 32) ^ (int) low, 1);
    int w19 = Integer.rotateLeft((int) x[to] ^ w16, 1);
    x[to + 1] = pack(w16, w17);
    x[to] = pack(w18, w19);
  }

  private static void rounds256(long[] x, int to, long low, long high) {
    int a = (int) (high >>> 32);
    int b = (int) high;
    int c = (int) (x[to + 1] >>> 32);
    int d = (int) x[to + 1];
    int e = (int) (low >>> 32);
    int f = (int) low;
    int g = (int) (x[to] >>> 32);
    int h = (int) x[to];
    for (int k = 0; k < 2; k++) {
      int wk = (int) (x[0] >>> 32 * k);
      int s1 = Integer.rotateRight(e, 6) ^ Integer.rotateRight(e, 11) ^ Integer.rotateRight(e, 25);
      int s0 = Integer.rotateRight(a, 2) ^ Integer.rotateRight(a, 13) ^ Integer.rotateRight(a, 22);
      int t = (e & f ^ ~e & g) + s1 + wk + h;
      int sum = t + (a & b ^ a & c ^ b & c) + s0;
      h = g;
      g = f;
      f = e;
      e = t + d;
      d = c;
      c = b;
      b = a;
      a = sum;
    }
    x[to + 1] = pack(a, b);
    x[to] = pack(e, f);
  }

  private static int sigma0(int w) {
    return Integer.rotateRight(w, 7) ^ Integer.rotateRight(w, 18) ^ w >>> 3;
  }

  private static int sigma1(int w) {
    return Integer.rotateRight(w, 17) ^ Integer.rotateRight(w, 19) ^ w >>> 10;
  }

  private static void messages256(long[] x, int to, long low) {
    int w0 = (int) x[to];
    int w1 = (int) (x[to] >>> 32);
    int w2 = (int) x[to + 1];
    int w3 = (int) (x[to + 1] >>> 32);
    x[to] = pack(w1 + sigma0(w2), w0 + sigma0(w1));
    x[to + 1] = pack(w3 + sigma0((int) low), w2 + sigma0(w3));
  }

  private static void lastMessages256(long[] x, int to, long low, long high) {
    int w16 = (int) x[to] + sigma1((int) high);
    int w17 = (int) (x[to] >>> 32) + sigma1((int) (high >>> 32));
    int w18 = (int) x[to + 1] + sigma1(w16);
    int w19 = (int) (x[to + 1] >>> 32) + sigma1(w17);
    x[to] = pack(w17, w16);
    x[to + 1] = pack(w19, w18);
  }
}
