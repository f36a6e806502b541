package dev.partita.engine.software;

/// FADD, FMUL, FCOM, FCOMP, FSUB, FSUBR, FDIV, FDIVR in their memory forms, and the register forms
/// of all but the comparisons with a destination other than ST(0).
final class X87Arithmetic extends X87Operation {
  // The second operand, or where the result goes.
  static final int SINGLE = 0;
  static final int DOUBLE = 1;
  static final int INTEGER_16 = 2;
  static final int INTEGER_32 = 3;

  /// ST(0) op ST(i) to ST(0).
  static final int TO_TOP = 4;

  /// ST(i) op ST(0) to ST(i).
  static final int FROM_TOP = 5;

  static final int FROM_TOP_POP = 6;

  // Operations, numbered as the opcode extensions of D8.
  private static final int ADD = 0;
  private static final int MULTIPLY = 1;
  private static final int COMPARE = 2;
  private static final int COMPARE_POP = 3;
  private static final int SUBTRACT = 4;
  private static final int SUBTRACT_REVERSED = 5;
  private static final int DIVIDE = 6;

  private final int operation;
  private final int form;
  private final int register;

  X87Arithmetic(Instruction i, int operation, int form) {
    super(i);
    this.operation = operation;
    this.form = form;
    this.register = i.rm & 7;
  }

  @Override
  void execute(Cpu c) {
    var x = enter(c);
    if (form < TO_TOP) {
      memoryForm(c, x);
    } else {
      registerForm(x);
    }
    leave(c);
  }

  private void memoryForm(Cpu c, X87 x) {
    var m = operand();
    var u = x.begin();
    switch (form) {
      case SINGLE -> ExtendedConversions.widen(u, m.load32(c) & 0xFFFF_FFFFL, 23);
      case DOUBLE -> ExtendedConversions.widen(u, m.load64(c), 52);
      case INTEGER_16 -> ExtendedConversions.fromInteger(u, (short) m.load16(c));
      default -> ExtendedConversions.fromInteger(u, m.load32(c));
    }
    int e = u.exponent;
    long s = u.significand;
    if (operation == COMPARE || operation == COMPARE_POP) {
      int pops = operation - COMPARE;
      if (x.empty(0)) {
        X87Compare.unordered(x, pops);
      } else {
        int codes = u.compare(x.exponent(0), x.significand(0), e, s, false);
        X87Compare.finish(x, u, codes, pops);
      }
      return;
    }
    if (x.empty(0)) {
      if (x.stackUnderflow()) {
        x.setIndefinite(0);
      }
      return;
    }
    compute(u, x.exponent(0), x.significand(0), e, s);
    x.raise(u);
    if (!u.blocked()) {
      x.set(0, u.exponent, u.significand);
    }
  }

  private void registerForm(X87 x) {
    var u = x.begin();
    if (form == TO_TOP && (operation == COMPARE || operation == COMPARE_POP)) {
      X87Compare.compare(x, register, false, operation - COMPARE);
      return;
    }
    int destination = form == TO_TOP ? 0 : register;
    int source = form == TO_TOP ? register : 0;
    boolean done;
    if (x.empty(0) || x.empty(register)) {
      done = x.stackUnderflow();
      if (done) {
        x.setIndefinite(destination);
      }
    } else {
      compute(
          u,
          x.exponent(destination),
          x.significand(destination),
          x.exponent(source),
          x.significand(source));
      x.raise(u);
      done = !u.blocked();
      if (done) {
        x.set(destination, u.exponent, u.significand);
      }
    }
    if (done && form == FROM_TOP_POP) {
      x.pop();
    }
  }

  private void compute(ExtendedArithmetic u, int ae, long as, int be, long bs) {
    switch (operation) {
      case ADD -> u.add(ae, as, be, bs);
      case MULTIPLY -> u.multiply(ae, as, be, bs);
      case SUBTRACT -> u.subtract(ae, as, be, bs);
      case SUBTRACT_REVERSED -> u.subtract(be, bs, ae, as);
      case DIVIDE -> u.divide(ae, as, be, bs);
      default -> u.divide(be, bs, ae, as);
    }
  }
}
