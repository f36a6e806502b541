package dev.partita.engine.software;

/// FLD, FILD and FBLD from memory.
final class X87Load extends X87Operation {
  static final int SINGLE = 0;
  static final int DOUBLE = 1;
  static final int EXTENDED = 2;
  static final int INTEGER_16 = 3;
  static final int INTEGER_32 = 4;
  static final int INTEGER_64 = 5;
  static final int DECIMAL = 6;

  private final int format;

  X87Load(Instruction i, int format) {
    super(i);
    this.format = format;
  }

  @Override
  void execute(Cpu c) {
    var x = enter(c);
    var u = x.begin();
    load(c, u);
    if (!x.empty(7)) {
      if (x.stackOverflow()) {
        x.push(ExtendedArithmetic.INDEFINITE_EXPONENT, ExtendedArithmetic.INDEFINITE_SIGNIFICAND);
      }
    } else {
      if (format <= DOUBLE) {
        // A signaling NaN is invalid, a denormal noted; other formats load without either.
        if (!u.settleNan(u.exponent, u.significand) && u.denormalOperand) {
          u.flags |= X87.DENORMAL;
        }
      }
      x.raise(u);
      // A denormal is loaded even if its exception is unmasked.
      if ((u.flags & X87.INVALID) == 0 || u.masked(X87.INVALID)) {
        x.push(u.exponent, u.significand);
      }
    }
    leave(c);
  }

  private void load(Cpu c, ExtendedArithmetic u) {
    var m = operand();
    switch (format) {
      case SINGLE -> ExtendedConversions.widen(u, m.load32(c) & 0xFFFF_FFFFL, 23);
      case DOUBLE -> ExtendedConversions.widen(u, m.load64(c), 52);
      case INTEGER_16 -> ExtendedConversions.fromInteger(u, (short) m.load16(c));
      case INTEGER_32 -> ExtendedConversions.fromInteger(u, m.load32(c));
      case INTEGER_64 -> ExtendedConversions.fromInteger(u, m.load64(c));
      default -> {
        long address = m.readAddress(c, 10);
        long low = c.load64(address);
        int high = c.load16(address + 8 & m.linearMask());
        if (format == EXTENDED) {
          u.set(high, low);
        } else {
          ExtendedConversions.fromDecimal(u, high, low);
        }
      }
    }
  }
}
