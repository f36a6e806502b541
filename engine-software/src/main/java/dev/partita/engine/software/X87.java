package dev.partita.engine.software;

/// The x87 floating-point unit's state, MMX registers included.
///
/// Registers are held by physical number; ST(n) is register `(TOP + n) mod 8`, MMX register n is
/// the significand of register n. Intel SDM volume 1, chapter 8.
final class X87 {
  /// Exception flags in the status word, masks in the control word: SDM volume 1, 8.1.3 and 8.1.5.
  static final int INVALID = 1;

  static final int DENORMAL = 1 << 1;
  static final int ZERO_DIVIDE = 1 << 2;
  static final int OVERFLOW = 1 << 3;
  static final int UNDERFLOW = 1 << 4;
  static final int PRECISION = 1 << 5;
  static final int EXCEPTIONS = 0x3F;

  // Status word only.
  static final int STACK_FAULT = 1 << 6;
  static final int SUMMARY = 1 << 7;
  static final int C0 = 1 << 8;
  static final int C1 = 1 << 9;
  static final int C2 = 1 << 10;
  static final int C3 = 1 << 14;
  static final int BUSY = 1 << 15;

  /// Bytes of the x87 part of an FXSAVE image, MXCSR's eight (24 to 31) included.
  static final int IMAGE_SIZE = 160;

  /// Control word after FNINIT: SDM volume 2, "FINIT/FNINIT".
  static final int INITIAL_CONTROL = 0x37F;

  /// Significands by physical register.
  final long[] significand = new long[8];

  /// Sign (bit 15) and biased exponent by physical register.
  final int[] exponent = new int[8];

  /// The control word, as FNSTCW stores it.
  int control = INITIAL_CONTROL;

  /// The status word without TOP, ES and B: exception flags, SF and condition codes.
  int status;

  /// Physical number of ST(0).
  int top;

  /// Bit n: physical register n is not empty.
  int valid;

  /// Last opcode: the low three bits of the first byte, then the second byte.
  int opcode;

  /// Last instruction and operand pointers. Their selectors are not kept, as CPUID tells (leaf 7,
  /// EBX bit 13); of the operand pointer, only that of the last instruction with an unmasked
  /// exception (bit 6), and likewise of the opcode.
  long instructionPointer;

  long dataPointer;

  /// The arithmetic of this unit.
  final ExtendedArithmetic unit = new ExtendedArithmetic();

  /// State after FNINIT.
  void initialize() {
    control = INITIAL_CONTROL;
    status = 0;
    top = 0;
    valid = 0;
    opcode = 0;
    instructionPointer = 0;
    dataPointer = 0;
  }

  /// State after power-up or INIT of the x87 component (XRSTOR): as {@link #initialize()}, and the
  /// registers are 0.
  void reset() {
    initialize();
    java.util.Arrays.fill(significand, 0);
    java.util.Arrays.fill(exponent, 0);
  }

  /// Whether all is as {@link #reset()} leaves it.
  boolean isInitial() {
    if (control != INITIAL_CONTROL
        || status != 0
        || top != 0
        || valid != 0
        || opcode != 0
        || (instructionPointer | dataPointer) != 0) {
      return false;
    }
    long all = 0;
    for (int i = 0; i < 8; i++) {
      all |= significand[i] | exponent[i];
    }
    return all == 0;
  }

  /// The status word as FNSTSW stores it.
  int statusWord() {
    int word = status | top << 11;
    return pending() ? word | SUMMARY | BUSY : word;
  }

  void setStatusWord(int word) {
    status = word & (EXCEPTIONS | STACK_FAULT | C0 | C1 | C2 | C3);
    top = word >> 11 & 7;
  }

  /// The full tag word: two bits a physical register, 0 valid, 1 zero, 2 special, 3 empty.
  int tagWord() {
    int word = 0;
    for (int i = 0; i < 8; i++) {
      int tag;
      if ((valid & 1 << i) == 0) {
        tag = 3;
      } else {
        tag =
            switch (ExtendedArithmetic.classify(exponent[i], significand[i])) {
              case ExtendedArithmetic.ZERO -> 1;
              case ExtendedArithmetic.NORMAL -> 0;
              default -> 2;
            };
      }
      word |= tag << 2 * i;
    }
    return word;
  }

  /// Takes a full tag word; only empty or not matters, the rest follows from the values.
  void setTagWord(int word) {
    valid = 0;
    for (int i = 0; i < 8; i++) {
      if ((word >> 2 * i & 3) != 3) {
        valid |= 1 << i;
      }
    }
  }

  /// Control word from memory: bits that do not exist are dropped, bit 6 reads 1.
  void setControl(int word) {
    control = word & 0x1F3F | 0x40;
  }

  /// Whether an exception waits to be raised by the next waiting instruction.
  boolean pending() {
    return (status & ~control & EXCEPTIONS) != 0;
  }

  /// Before a waiting x87 instruction, WAIT or an MMX instruction: raises #MF if an exception is
  /// pending.
  void checkPending(Cpu c) {
    if (pending()) {
      throw c.raise(GuestFault.FLOATING_POINT);
    }
  }

  // ---- The register stack
  // ---------------------------------------------------------------------------

  boolean empty(int n) {
    return (valid & 1 << (top + n & 7)) == 0;
  }

  int exponent(int n) {
    return exponent[top + n & 7];
  }

  long significand(int n) {
    return significand[top + n & 7];
  }

  /// Writes ST(n); it is not empty then.
  void set(int n, int e, long s) {
    int register = top + n & 7;
    exponent[register] = e;
    significand[register] = s;
    valid |= 1 << register;
  }

  void free(int n) {
    valid &= ~(1 << (top + n & 7));
  }

  void pop() {
    valid &= ~(1 << top);
    top = top + 1 & 7;
  }

  /// Writes a new ST(0); whether there is room is the caller's.
  void push(int e, long s) {
    top = top - 1 & 7;
    set(0, e, s);
  }

  /// Begins an operation of {@link #unit} under the control word in force.
  ExtendedArithmetic begin() {
    unit.begin(control);
    return unit;
  }

  /// Takes over the exceptions and C1 of an operation.
  void raise(ExtendedArithmetic u) {
    if (u.blocked()) {
      // Found before the computation: what that would have raised has not happened.
      u.flags &= INVALID | DENORMAL | ZERO_DIVIDE;
      u.roundedUp = false;
    }
    status = status & ~C1 | u.flags | (u.roundedUp ? C1 : 0);
  }

  /// An operand was empty.
  ///
  /// @return whether the exception is masked, so that the indefinite is the result
  boolean stackUnderflow() {
    status = status & ~C1 | INVALID | STACK_FAULT;
    return (control & INVALID) != 0;
  }

  /// There is no room for a push.
  ///
  /// @return whether the exception is masked, so that the indefinite is to be pushed
  boolean stackOverflow() {
    status |= C1 | INVALID | STACK_FAULT;
    return (control & INVALID) != 0;
  }

  void setIndefinite(int n) {
    set(n, ExtendedArithmetic.INDEFINITE_EXPONENT, ExtendedArithmetic.INDEFINITE_SIGNIFICAND);
  }

  // ---- MMX
  // ------------------------------------------------------------------------------------------

  /// Before each MMX instruction but EMMS: TOP becomes 0 and all registers valid.
  void enterMmx() {
    top = 0;
    valid = 0xFF;
  }

  /// EMMS: all registers empty.
  void emms() {
    top = 0;
    valid = 0;
  }

  long mmx(int register) {
    return significand[register];
  }

  /// Writes an MMX register; its exponent field becomes all ones.
  void setMmx(int register, long value) {
    significand[register] = value;
    exponent[register] = 0xFFFF;
  }

  // ---- Images
  // ---------------------------------------------------------------------------------------

  /// Takes the x87 part of an FXSAVE64 image (64-bit pointers): SDM volume 1, table 10-2. Bytes 24
  /// to 31 are MXCSR's and not looked at.
  ///
  /// @param image at least {@link #IMAGE_SIZE} bytes
  void loadFxImage(byte[] image) {
    setControl(get(image, 0, 2));
    setStatusWord(get(image, 2, 2));
    valid = image[4] & 0xFF;
    opcode = get(image, 6, 2) & 0x7FF;
    instructionPointer = getLong(image, 8);
    dataPointer = getLong(image, 16);
    for (int i = 0; i < 8; i++) {
      int register = top + i & 7;
      significand[register] = getLong(image, 32 + 16 * i);
      exponent[register] = get(image, 40 + 16 * i, 2);
    }
  }

  /// Writes the x87 part of an FXSAVE64 image; bytes 24 to 31 are left alone.
  void storeFxImage(byte[] image) {
    put(image, 0, 2, control);
    put(image, 2, 2, statusWord());
    put(image, 4, 2, valid);
    put(image, 6, 2, opcode);
    putLong(image, 8, instructionPointer);
    putLong(image, 16, dataPointer);
    for (int i = 0; i < 8; i++) {
      int register = top + i & 7;
      putLong(image, 32 + 16 * i, significand[register]);
      putLong(image, 40 + 16 * i, exponent[register]);
    }
  }

  private static int get(byte[] image, int offset, int size) {
    int value = 0;
    for (int i = size - 1; i >= 0; i--) {
      value = value << 8 | image[offset + i] & 0xFF;
    }
    return value;
  }

  private static long getLong(byte[] image, int offset) {
    return get(image, offset, 4) & 0xFFFF_FFFFL | (long) get(image, offset + 4, 4) << 32;
  }

  private static void put(byte[] image, int offset, int size, int value) {
    for (int i = 0; i < size; i++) {
      image[offset + i] = (byte) (value >>> 8 * i);
    }
  }

  private static void putLong(byte[] image, int offset, long value) {
    put(image, offset, 4, (int) value);
    put(image, offset + 4, 4, (int) (value >>> 32));
  }
}
