package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// The instructions D9 E0 to D9 FF: on ST(0), or on ST(0) and ST(1), without other operands.
final class X87Function extends X87Operation {
  // The second opcode byte.
  private static final int FCHS = 0xE0;
  private static final int FABS = 0xE1;
  private static final int FTST = 0xE4;
  private static final int FXAM = 0xE5;
  private static final int FLD1 = 0xE8;
  private static final int FLDL2T = 0xE9;
  private static final int FLDL2E = 0xEA;
  private static final int FLDPI = 0xEB;
  private static final int FLDLG2 = 0xEC;
  private static final int FLDLN2 = 0xED;
  private static final int FLDZ = 0xEE;
  private static final int F2XM1 = 0xF0;
  private static final int FYL2X = 0xF1;
  private static final int FPTAN = 0xF2;
  private static final int FPATAN = 0xF3;
  private static final int FXTRACT = 0xF4;
  private static final int FPREM1 = 0xF5;
  private static final int FDECSTP = 0xF6;
  private static final int FINCSTP = 0xF7;
  private static final int FPREM = 0xF8;
  private static final int FYL2XP1 = 0xF9;
  private static final int FSQRT = 0xFA;
  private static final int FSINCOS = 0xFB;
  private static final int FRNDINT = 0xFC;
  private static final int FSCALE = 0xFD;
  private static final int FSIN = 0xFE;
  private static final int FCOS = 0xFF;

  private final int function;

  private X87Function(Instruction i) {
    super(i);
    function = opcode & 0xFF;
  }

  static @Nullable Operation create(Instruction i) {
    int second = 0xC0 | i.extension() << 3 | i.rm & 7;
    return switch (second) {
      case 0xE2, 0xE3, 0xE6, 0xE7, 0xEF -> null;
      default -> new X87Function(i);
    };
  }

  @Override
  void execute(Cpu c) {
    var x = enter(c);
    switch (function) {
      case FCHS, FABS -> sign(x);
      case FTST -> test(x);
      case FXAM -> examine(x);
      case FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ -> constant(x);
      case FDECSTP -> {
        x.top = x.top - 1 & 7;
        x.status &= ~X87.C1;
      }
      case FINCSTP -> {
        x.top = x.top + 1 & 7;
        x.status &= ~X87.C1;
      }
      case FYL2X, FYL2XP1, FPATAN -> binaryPop(x);
      case FPREM, FPREM1, FSCALE -> binary(x);
      case FPTAN, FSINCOS -> pair(x);
      case FXTRACT -> extract(x);
      default -> unary(x);
    }
    leave(c);
  }

  private void sign(X87 x) {
    if (x.empty(0)) {
      if (x.stackUnderflow()) {
        x.setIndefinite(0);
      }
      return;
    }
    x.status &= ~X87.C1;
    int e = x.exponent(0);
    e = function == FCHS ? e ^ ExtendedArithmetic.SIGN : e & ExtendedArithmetic.MAX_EXPONENT;
    x.set(0, e, x.significand(0));
  }

  private static void test(X87 x) {
    var u = x.begin();
    if (x.empty(0)) {
      X87Compare.unordered(x, 0);
    } else {
      int codes = u.compare(x.exponent(0), x.significand(0), 0, 0, false);
      X87Compare.finish(x, u, codes, 0);
    }
  }

  /// FXAM: SDM volume 2, table 3-37.
  private static void examine(X87 x) {
    int e = x.exponent(0);
    int codes;
    if (x.empty(0)) {
      codes = X87.C3 | X87.C0;
    } else {
      codes =
          switch (ExtendedArithmetic.classify(e, x.significand(0))) {
            case ExtendedArithmetic.ZERO -> X87.C3;
            case ExtendedArithmetic.NORMAL -> X87.C2;
            case ExtendedArithmetic.DENORMAL_NUMBER -> X87.C3 | X87.C2;
            case ExtendedArithmetic.INFINITY -> X87.C2 | X87.C0;
            case ExtendedArithmetic.UNSUPPORTED -> 0;
            default -> X87.C0;
          };
    }
    if ((e & ExtendedArithmetic.SIGN) != 0) {
      codes |= X87.C1;
    }
    x.status = x.status & ~(X87.C3 | X87.C2 | X87.C1 | X87.C0) | codes;
  }

  private void constant(X87 x) {
    if (!x.empty(7)) {
      if (x.stackOverflow()) {
        x.push(ExtendedArithmetic.INDEFINITE_EXPONENT, ExtendedArithmetic.INDEFINITE_SIGNIFICAND);
      }
      return;
    }
    var u = x.begin();
    if (function == FLDZ) {
      u.set(0, 0);
    } else {
      var w =
          switch (function) {
            case FLD1 -> Wide.ONE;
            case FLDL2T -> Wide.LOG2_10;
            case FLDL2E -> Wide.LOG2_E;
            case FLDPI -> Wide.PI;
            case FLDLG2 -> Wide.LOG10_2;
            default -> Wide.LN_2;
          };
      // Rounded as the control word says, but no exception.
      u.roundFull(false, w.exponent() + ExtendedArithmetic.BIAS, w.high(), w.low());
    }
    x.status &= ~X87.C1;
    x.push(u.exponent, u.significand);
  }

  private void unary(X87 x) {
    var u = x.begin();
    if (x.empty(0)) {
      if (x.stackUnderflow()) {
        x.setIndefinite(0);
      }
      if (function == FSIN || function == FCOS) {
        x.status &= ~X87.C2;
      }
      return;
    }
    int e = x.exponent(0);
    long s = x.significand(0);
    switch (function) {
      case F2XM1 -> Transcendental.powerLessOne(u, e, s);
      case FSQRT -> u.squareRoot(e, s);
      case FRNDINT -> ExtendedFunctions.toIntegral(u, e, s);
      default -> {
        if (Transcendental.outOfRange(e, s)) {
          x.status = x.status & ~X87.C1 | X87.C2;
          return;
        }
        Transcendental.sine(u, e, s, function == FSIN ? 0 : 1);
        x.status &= ~X87.C2;
      }
    }
    x.raise(u);
    if (!u.blocked()) {
      x.set(0, u.exponent, u.significand);
    }
  }

  /// FPREM, FPREM1, FSCALE: ST(0) and ST(1) to ST(0).
  private void binary(X87 x) {
    var u = x.begin();
    if (x.empty(0) || x.empty(1)) {
      if (x.stackUnderflow()) {
        x.setIndefinite(0);
      }
      if (function != FSCALE) {
        x.status &= ~X87.C2;
      }
      return;
    }
    int ae = x.exponent(0);
    long as = x.significand(0);
    int be = x.exponent(1);
    long bs = x.significand(1);
    if (function == FSCALE) {
      ExtendedFunctions.scale(u, ae, as, be, bs);
      x.raise(u);
    } else {
      int codes = ExtendedFunctions.remainder(u, ae, as, be, bs, function == FPREM1);
      x.raise(u);
      x.status &= ~X87.C2;
      if (codes >= 0 && !u.blocked()) {
        x.status = x.status & ~(X87.C0 | X87.C1 | X87.C3) | codes;
      }
    }
    if (!u.blocked()) {
      x.set(0, u.exponent, u.significand);
    }
  }

  /// FYL2X, FYL2XP1, FPATAN: ST(1) and ST(0) to ST(1), and pop.
  private void binaryPop(X87 x) {
    var u = x.begin();
    if (x.empty(0) || x.empty(1)) {
      if (x.stackUnderflow()) {
        x.setIndefinite(1);
        x.pop();
      }
      return;
    }
    int xe = x.exponent(0);
    long xs = x.significand(0);
    int ye = x.exponent(1);
    long ys = x.significand(1);
    switch (function) {
      case FYL2X -> Transcendental.logarithm(u, ye, ys, xe, xs);
      case FYL2XP1 -> Transcendental.logarithmPlusOne(u, ye, ys, xe, xs);
      default -> Transcendental.arcTangent(u, ye, ys, xe, xs);
    }
    x.raise(u);
    if (!u.blocked()) {
      x.set(1, u.exponent, u.significand);
      x.pop();
    }
  }

  /// FPTAN and FSINCOS: one result replaces ST(0), another is pushed.
  private void pair(X87 x) {
    var u = x.begin();
    if (stackFault(x)) {
      x.status &= ~X87.C2;
      return;
    }
    int e = x.exponent(0);
    long s = x.significand(0);
    if (Transcendental.outOfRange(e, s)) {
      x.status = x.status & ~X87.C1 | X87.C2;
      return;
    }
    x.status &= ~X87.C2;
    int pushedExponent = ExtendedArithmetic.BIAS;
    long pushedSignificand = ExtendedArithmetic.INTEGER_BIT;
    if (function == FPTAN) {
      Transcendental.tangent(u, e, s);
      if (ExtendedArithmetic.classify(e, s) >= ExtendedArithmetic.INFINITY) {
        pushedExponent = u.exponent;
        pushedSignificand = u.significand;
      }
    } else {
      Transcendental.sine(u, e, s, 1);
      pushedExponent = u.exponent;
      pushedSignificand = u.significand;
      if (!u.blocked()) {
        Transcendental.sine(u, e, s, 0);
      }
    }
    x.raise(u);
    if (!u.blocked()) {
      x.set(0, u.exponent, u.significand);
      x.push(pushedExponent, pushedSignificand);
    }
  }

  /// Stack faults of the instructions that replace ST(0) and push.
  private static boolean stackFault(X87 x) {
    boolean masked;
    if (x.empty(0)) {
      masked = x.stackUnderflow();
    } else if (!x.empty(7)) {
      masked = x.stackOverflow();
    } else {
      return false;
    }
    if (masked) {
      x.setIndefinite(0);
      x.push(ExtendedArithmetic.INDEFINITE_EXPONENT, ExtendedArithmetic.INDEFINITE_SIGNIFICAND);
    }
    return true;
  }

  private static void extract(X87 x) {
    var u = x.begin();
    if (stackFault(x)) {
      return;
    }
    int e = x.exponent(0);
    long s = x.significand(0);
    ExtendedFunctions.exponentOf(u, e, s);
    x.raise(u);
    if (u.blocked()) {
      return;
    }
    x.set(0, u.exponent, u.significand);
    ExtendedFunctions.fraction(u, e, s);
    x.push(u.exponent, u.significand);
  }
}
