package dev.partita.engine.software;

/// AES-NI: the instructions of Intel SDM volume 2 (AESENC and so on); the cipher is FIPS 197's.
///
/// The state is 16 bytes, byte 0 lowest; column n is bytes 4 n to 4 n + 3.
final class Aes extends XmmOperation {
  private static final byte[] BOX = new byte[256];
  private static final byte[] INVERSE_BOX = new byte[256];

  // A column for each byte: the S-box, then MixColumns' first column (or the inverse of both).
  private static final int[] ROUND = new int[256];
  private static final int[] INVERSE_ROUND = new int[256];

  static {
    // p runs through the powers of the generator 3, q through those of its inverse: q = 1 / p.
    int p = 1;
    int q = 1;
    do {
      p = p ^ times2(p);
      q ^= q << 1;
      q ^= q << 2;
      q ^= q << 4;
      q &= 0xFF;
      if ((q & 0x80) != 0) {
        q ^= 0x09;
      }
      int affine = q ^ rotate(q, 1) ^ rotate(q, 2) ^ rotate(q, 3) ^ rotate(q, 4) ^ 0x63;
      BOX[p] = (byte) affine;
    } while (p != 1);
    BOX[0] = 0x63;
    for (int i = 0; i < 256; i++) {
      INVERSE_BOX[BOX[i] & 0xFF] = (byte) i;
    }
    for (int i = 0; i < 256; i++) {
      int s = BOX[i] & 0xFF;
      ROUND[i] = times2(s) | s << 8 | s << 16 | (times2(s) ^ s) << 24;
      INVERSE_ROUND[i] = inverseMix(INVERSE_BOX[i] & 0xFF);
    }
  }

  final int op;

  Aes(Instruction i, int op) {
    super(i);
    this.op = op;
  }

  @Override
  void apply(Cpu c, long low, long high) {
    long[] x = c.xmm;
    long a = x[to];
    long b = x[to + 1];
    switch (op) {
      case 0xDB -> {
        x[to] = inverseMixColumns(low);
        x[to + 1] = inverseMixColumns(high);
      }
      case 0xDC -> {
        x[to] = columns(ROUND, a, b, 1) ^ low;
        x[to + 1] = columns(ROUND, b, a, 1) ^ high;
      }
      case 0xDD -> {
        x[to] = lastColumns(BOX, a, b, 1) ^ low;
        x[to + 1] = lastColumns(BOX, b, a, 1) ^ high;
      }
      case 0xDE -> {
        x[to] = columns(INVERSE_ROUND, a, b, 3) ^ low;
        x[to + 1] = columns(INVERSE_ROUND, b, a, 3) ^ high;
      }
      default -> {
        x[to] = lastColumns(INVERSE_BOX, a, b, 3) ^ low;
        x[to + 1] = lastColumns(INVERSE_BOX, b, a, 3) ^ high;
      }
    }
  }

  private static int rotate(int v, int n) {
    return (v << n | v >> 8 - n) & 0xFF;
  }

  /// Doubles in GF(2^8): FIPS 197, 4.2.1.
  private static int times2(int v) {
    return (v << 1 ^ ((v & 0x80) != 0 ? 0x1B : 0)) & 0xFF;
  }

  /// A byte times the first column of InvMixColumns: 0E, 09, 0D, 0B.
  private static int inverseMix(int v) {
    int v2 = times2(v);
    int v4 = times2(v2);
    int v8 = times2(v4);
    return v8 ^ v4 ^ v2 | (v8 ^ v) << 8 | (v8 ^ v4 ^ v) << 16 | (v8 ^ v2 ^ v) << 24;
  }

  /// Two columns of a full round without the key.
  ///
  /// @param a the half of the state that holds these columns
  /// @param b the other half
  /// @param step columns from row to row: 1 is ShiftRows, 3 its inverse
  private static long columns(int[] table, long a, long b, int step) {
    return column(table, a, b, 0, step) & 0xFFFF_FFFFL | (long) column(table, a, b, 1, step) << 32;
  }

  private static int column(int[] table, long a, long b, int number, int step) {
    int r = 0;
    for (int row = 0; row < 4; row++) {
      r ^= Integer.rotateLeft(table[stateByte(a, b, number + row * step, row)], 8 * row);
    }
    return r;
  }

  /// A byte of the state: column (modulo 4, 0 and 1 in a, 2 and 3 in b) and row.
  private static int stateByte(long a, long b, int column, int row) {
    long half = (column & 2) == 0 ? a : b;
    return (int) (half >>> 32 * (column & 1) + 8 * row) & 0xFF;
  }

  /// Two columns of a last round without the key.
  private static long lastColumns(byte[] box, long a, long b, int step) {
    long r = 0;
    for (int k = 0; k < 8; k++) {
      int row = k & 3;
      r |= (box[stateByte(a, b, (k >> 2) + row * step, row)] & 0xFFL) << 8 * k;
    }
    return r;
  }

  private static long inverseMixColumns(long a) {
    long r = 0;
    for (int k = 0; k < 8; k++) {
      int mixed = inverseMix((int) (a >>> 8 * k) & 0xFF);
      r ^= (Integer.rotateLeft(mixed, 8 * (k & 3)) & 0xFFFF_FFFFL) << (k & 4) * 8;
    }
    return r;
  }

  private static int substitute(int word) {
    return BOX[word & 0xFF] & 0xFF
        | (BOX[word >>> 8 & 0xFF] & 0xFF) << 8
        | (BOX[word >>> 16 & 0xFF] & 0xFF) << 16
        | (BOX[word >>> 24] & 0xFF) << 24;
  }

  /// AESKEYGENASSIST.
  static final class AssistKey extends XmmOperation {
    final int constant;

    AssistKey(Instruction i) {
      super(i);
      this.constant = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      c.xmm[to] = assist((int) (low >>> 32), constant);
      c.xmm[to + 1] = assist((int) (high >>> 32), constant);
    }

    private static long assist(int word, int constant) {
      int s = substitute(word);
      return s & 0xFFFF_FFFFL | (long) (Integer.rotateRight(s, 8) ^ constant) << 32;
    }
  }
}
