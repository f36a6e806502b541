package dev.partita.engine.software;

/// Moves between registers of the stack: FLD ST(i), FXCH, FST, FSTP, FFREE, FCMOVcc, FNOP.
final class X87Stack extends X87Operation {
  static final int LOAD = 0;
  static final int EXCHANGE = 1;
  static final int NOTHING = 2;
  static final int STORE = 3;
  static final int STORE_POP = 4;
  static final int FREE = 5;
  static final int FREE_POP = 6;
  static final int MOVE_IF = 7;

  /// FSTPNCE (D9 D8): as FSTP, but an empty ST(0) is no exception.
  static final int STORE_POP_QUIET = 8;

  private final int kind;
  private final int register;

  X87Stack(Instruction i, int kind) {
    super(i);
    this.kind = kind;
    this.register = i.rm & 7;
  }

  @Override
  void execute(Cpu c) {
    var x = enter(c);
    switch (kind) {
      case LOAD -> load(x);
      case EXCHANGE -> exchange(x);
      case STORE, STORE_POP -> store(x);
      case FREE, FREE_POP -> {
        x.status &= ~X87.C1;
        x.free(register);
        if (kind == FREE_POP) {
          x.pop();
        }
      }
      case STORE_POP_QUIET -> storeQuietly(x);
      case MOVE_IF -> moveIf(c, x);
      default -> {}
    }
    leave(c);
  }

  private void load(X87 x) {
    boolean done = true;
    int e = x.exponent(register);
    long s = x.significand(register);
    if (x.empty(register)) {
      done = x.stackUnderflow();
      e = ExtendedArithmetic.INDEFINITE_EXPONENT;
      s = ExtendedArithmetic.INDEFINITE_SIGNIFICAND;
    } else if (!x.empty(7)) {
      done = x.stackOverflow();
      e = ExtendedArithmetic.INDEFINITE_EXPONENT;
      s = ExtendedArithmetic.INDEFINITE_SIGNIFICAND;
    } else {
      x.status &= ~X87.C1;
    }
    if (done) {
      x.push(e, s);
    }
  }

  private void exchange(X87 x) {
    if (x.empty(0) || x.empty(register)) {
      if (!x.stackUnderflow()) {
        return;
      }
      if (x.empty(0)) {
        x.setIndefinite(0);
      }
      if (x.empty(register)) {
        x.setIndefinite(register);
      }
    } else {
      x.status &= ~X87.C1;
    }
    int e = x.exponent(0);
    long s = x.significand(0);
    x.set(0, x.exponent(register), x.significand(register));
    x.set(register, e, s);
  }

  private void store(X87 x) {
    if (x.empty(0)) {
      if (!x.stackUnderflow()) {
        return;
      }
      x.setIndefinite(register);
    } else {
      x.status &= ~X87.C1;
      x.set(register, x.exponent(0), x.significand(0));
    }
    if (kind == STORE_POP) {
      x.pop();
    }
  }

  private void storeQuietly(X87 x) {
    x.status &= ~X87.C1;
    if (!x.empty(0)) {
      x.set(register, x.exponent(0), x.significand(0));
    }
    x.pop();
  }

  private void moveIf(Cpu c, X87 x) {
    if (x.empty(0) || x.empty(register)) {
      if (x.stackUnderflow()) {
        x.setIndefinite(0);
      }
      return;
    }
    boolean holds =
        switch (opcode >> 3 & 3) {
          case 0 -> c.cf();
          case 1 -> c.zf();
          case 2 -> c.cf() || c.zf();
          default -> c.pf();
        };
    // DA: if the condition holds; DB: if not.
    if (holds == ((opcode & 0x100) == 0)) {
      x.set(0, x.exponent(register), x.significand(register));
    }
  }
}
