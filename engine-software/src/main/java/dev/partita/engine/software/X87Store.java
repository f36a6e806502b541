package dev.partita.engine.software;

/// FST, FSTP, FIST, FISTP, FISTTP and FBSTP to memory.
final class X87Store extends X87Operation {
  static final int SINGLE = 0;
  static final int DOUBLE = 1;
  static final int EXTENDED = 2;
  static final int INTEGER_16 = 3;
  static final int INTEGER_32 = 4;
  static final int INTEGER_64 = 5;

  // FISTTP: truncated whatever the rounding control.
  static final int TRUNCATED_16 = 6;
  static final int TRUNCATED_32 = 7;
  static final int TRUNCATED_64 = 8;
  static final int DECIMAL = 9;

  private final int format;
  private final boolean pop;

  X87Store(Instruction i, int format, boolean pop) {
    super(i);
    this.format = format;
    this.pop = pop;
  }

  @Override
  void execute(Cpu c) {
    var x = enter(c);
    var u = x.begin();
    boolean empty = x.empty(0);
    int e = empty ? ExtendedArithmetic.INDEFINITE_EXPONENT : x.exponent(0);
    long s = empty ? ExtendedArithmetic.INDEFINITE_SIGNIFICAND : x.significand(0);
    if (empty) {
      // What the indefinite converts to is stored when the stack fault is masked.
      u.flags = X87.INVALID;
    }
    boolean stored = store(c, u, e, s);
    if (empty) {
      x.stackUnderflow();
    } else {
      x.raise(u);
    }
    if (stored && pop) {
      x.pop();
    }
    leave(c);
  }

  /// Converts and, unless an exception forbids it, stores.
  private boolean store(Cpu c, ExtendedArithmetic u, int e, long s) {
    int direction = format >= TRUNCATED_16 ? ExtendedArithmetic.TRUNCATE : u.rounding();
    long value = 0;
    switch (format) {
      case SINGLE -> value = ExtendedConversions.narrow(u, e, s, 23);
      case DOUBLE -> value = ExtendedConversions.narrow(u, e, s, 52);
      case INTEGER_16, TRUNCATED_16 ->
          value = ExtendedConversions.toInteger(u, e, s, 16, direction);
      case INTEGER_32, TRUNCATED_32 ->
          value = ExtendedConversions.toInteger(u, e, s, 32, direction);
      case INTEGER_64, TRUNCATED_64 ->
          value = ExtendedConversions.toInteger(u, e, s, 64, direction);
      case DECIMAL -> ExtendedConversions.toDecimal(u, e, s);
      default -> u.set(e, s);
    }
    if (ExtendedConversions.storeBlocked(u)) {
      return false;
    }
    var m = operand();
    switch (format) {
      case INTEGER_16, TRUNCATED_16 -> m.store16(c, (int) value);
      case SINGLE, INTEGER_32, TRUNCATED_32 -> m.store32(c, (int) value);
      case DOUBLE, INTEGER_64, TRUNCATED_64 -> m.store64(c, value);
      default -> {
        long address = m.writeAddress(c, 10);
        long high = address + 8 & m.linearMask();
        StateImage.prepareWrite(c, address, 10);
        c.store64(address, u.significand);
        c.store16(high, u.exponent);
      }
    }
    return true;
  }
}
