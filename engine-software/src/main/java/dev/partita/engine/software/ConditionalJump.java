package dev.partita.engine.software;

/// Jcc in 64-bit mode: a class for each condition.
final class ConditionalJump {
  private ConditionalJump() {}

  /// @param condition the opcode's low four bits
  static Operation create(int condition, long displacement) {
    return switch (condition) {
      case 0 -> new Overflow(displacement);
      case 1 -> new NotOverflow(displacement);
      case 2 -> new Below(displacement);
      case 3 -> new AboveOrEqual(displacement);
      case 4 -> new Equal(displacement);
      case 5 -> new NotEqual(displacement);
      case 6 -> new BelowOrEqual(displacement);
      case 7 -> new Above(displacement);
      case 8 -> new Sign(displacement);
      case 9 -> new NotSign(displacement);
      case 10 -> new Parity(displacement);
      case 11 -> new NotParity(displacement);
      case 12 -> new Less(displacement);
      case 13 -> new GreaterOrEqual(displacement);
      case 14 -> new LessOrEqual(displacement);
      default -> new Greater(displacement);
    };
  }

  abstract static class Jump extends Operation {
    /// From the end of the instruction.
    final long displacement;

    Jump(long displacement) {
      this.displacement = displacement;
    }

    @Override
    final Flow flow() {
      return Flow.BRANCH;
    }

    final void jump(Cpu c, boolean taken) {
      long next = c.r[Cpu.RIP_BASE] + end;
      c.rip = taken ? Branch.target64(c, next + displacement) : next;
    }

    @Override
    final Follow follow() {
      return Follow.CONDITIONAL;
    }

    @Override
    final long target() {
      return end + displacement;
    }

    /// The opcode's low four bits.
    abstract int condition();

    @Override
    final boolean emit(RegionEmitter e) {
      e.conditional(condition());
      return true;
    }
  }

  private static final class Overflow extends Jump {
    Overflow(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, c.of());
    }

    @Override
    int condition() {
      return 0;
    }
  }

  private static final class NotOverflow extends Jump {
    NotOverflow(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, !c.of());
    }

    @Override
    int condition() {
      return 1;
    }
  }

  private static final class Below extends Jump {
    Below(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, c.cf());
    }

    @Override
    int condition() {
      return 2;
    }
  }

  private static final class AboveOrEqual extends Jump {
    AboveOrEqual(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, !c.cf());
    }

    @Override
    int condition() {
      return 3;
    }
  }

  private static final class Equal extends Jump {
    Equal(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, c.zf());
    }

    @Override
    int condition() {
      return 4;
    }
  }

  private static final class NotEqual extends Jump {
    NotEqual(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, !c.zf());
    }

    @Override
    int condition() {
      return 5;
    }
  }

  private static final class BelowOrEqual extends Jump {
    BelowOrEqual(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, c.cf() || c.zf());
    }

    @Override
    int condition() {
      return 6;
    }
  }

  private static final class Above extends Jump {
    Above(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, !c.cf() && !c.zf());
    }

    @Override
    int condition() {
      return 7;
    }
  }

  private static final class Sign extends Jump {
    Sign(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, c.sf());
    }

    @Override
    int condition() {
      return 8;
    }
  }

  private static final class NotSign extends Jump {
    NotSign(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, !c.sf());
    }

    @Override
    int condition() {
      return 9;
    }
  }

  private static final class Parity extends Jump {
    Parity(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, c.pf());
    }

    @Override
    int condition() {
      return 10;
    }
  }

  private static final class NotParity extends Jump {
    NotParity(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, !c.pf());
    }

    @Override
    int condition() {
      return 11;
    }
  }

  private static final class Less extends Jump {
    Less(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, Condition.less(c));
    }

    @Override
    int condition() {
      return 12;
    }
  }

  private static final class GreaterOrEqual extends Jump {
    GreaterOrEqual(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, !Condition.less(c));
    }

    @Override
    int condition() {
      return 13;
    }
  }

  private static final class LessOrEqual extends Jump {
    LessOrEqual(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, c.zf() || Condition.less(c));
    }

    @Override
    int condition() {
      return 14;
    }
  }

  private static final class Greater extends Jump {
    Greater(long displacement) {
      super(displacement);
    }

    @Override
    void execute(Cpu c) {
      jump(c, !c.zf() && !Condition.less(c));
    }

    @Override
    int condition() {
      return 15;
    }
  }
}
