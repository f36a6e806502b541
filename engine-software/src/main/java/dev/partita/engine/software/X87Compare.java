package dev.partita.engine.software;

/// FCOM, FCOMP, FCOMPP, FUCOM, FUCOMP, FUCOMPP, and FCOMI, FCOMIP, FUCOMI, FUCOMIP with registers.
///
/// The result is there even after an unmasked exception; only the stack is not popped then, as the
/// processor does it.
final class X87Compare extends X87Operation {
  private final int register;
  private final boolean quiet;
  private final boolean toFlags;
  private final int pops;

  /// @param quiet a quiet NaN is no exception (the FUCOM forms)
  /// @param toFlags the result goes to RFLAGS (the FCOMI forms)
  /// @param pops how often the stack is popped
  X87Compare(Instruction i, int register, boolean quiet, boolean toFlags, int pops) {
    super(i);
    this.register = register;
    this.quiet = quiet;
    this.toFlags = toFlags;
    this.pops = pops;
  }

  @Override
  void execute(Cpu c) {
    var x = enter(c);
    if (toFlags) {
      compareToFlags(c, x);
    } else {
      compare(x, register, quiet, pops);
    }
    leave(c);
  }

  /// Compares ST(0) with ST(n), the result going to the condition codes.
  static void compare(X87 x, int n, boolean quiet, int pops) {
    var u = x.begin();
    if (x.empty(0) || x.empty(n)) {
      unordered(x, pops);
      return;
    }
    int codes = u.compare(x.exponent(0), x.significand(0), x.exponent(n), x.significand(n), quiet);
    finish(x, u, codes, pops);
  }

  /// An operand was empty.
  static void unordered(X87 x, int pops) {
    boolean masked = x.stackUnderflow();
    x.status |= X87.C3 | X87.C2 | X87.C0;
    if (masked) {
      pop(x, pops);
    }
  }

  static void finish(X87 x, ExtendedArithmetic u, int codes, int pops) {
    x.raise(u);
    x.status = x.status & ~(X87.C3 | X87.C2 | X87.C0) | codes;
    if (!u.blocked()) {
      pop(x, pops);
    }
  }

  private static void pop(X87 x, int pops) {
    for (int i = 0; i < pops; i++) {
      x.pop();
    }
  }

  private void compareToFlags(Cpu c, X87 x) {
    var u = x.begin();
    int codes = X87.C3 | X87.C2 | X87.C0;
    boolean done;
    if (x.empty(0) || x.empty(register)) {
      done = x.stackUnderflow();
    } else {
      codes =
          u.compare(
              x.exponent(0),
              x.significand(0),
              x.exponent(register),
              x.significand(register),
              quiet);
      x.status |= u.flags;
      done = !u.blocked();
    }
    int flags = (codes & X87.C3) != 0 ? Cpu.ZF : 0;
    flags |= (codes & X87.C2) != 0 ? Cpu.PF : 0;
    flags |= (codes & X87.C0) != 0 ? Cpu.CF : 0;
    c.setArithmeticFlags(flags);
    if (done) {
      pop(x, pops);
    }
  }
}
