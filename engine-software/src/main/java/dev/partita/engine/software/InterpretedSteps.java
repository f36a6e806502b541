package dev.partita.engine.software;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What the interpreter executes of a block: its operations, but without those that do nothing, and
/// with one step for some sequences that are frequent: runs of PUSH and of POP, and a comparison or
/// test with the conditional jump after it.
///
/// Each step costs the host a load of the object, of its class's method, and a jump that is hard to
/// predict: together two fifths of the time that the interpreter takes for a kernel's boot.
///
/// A step begins where its first operation begins. One that stands for several tells in {@link
/// Cpu#within} which of them threw; all before that one are done then.
final class InterpretedSteps {
  private InterpretedSteps() {}

  /// The steps of a block's operations; the same array if there is nothing to gain.
  static Operation[] of(Operation[] operations) {
    var steps = new ArrayList<Operation>(operations.length);
    for (int i = 0; i < operations.length; ) {
      var operation = operations[i];
      int run = runLength(operations, i);
      if (run > 1) {
        steps.add(
            operation instanceof StackInstructions.Push64
                ? new Pushes(operations, i, run)
                : new Pops(operations, i, run));
        i += run;
        continue;
      }
      i++;
      var fused = i < operations.length ? fused(operation, operations[i]) : null;
      if (fused != null) {
        steps.add(fused);
        i++;
      } else if (!(operation instanceof HintInstructions.Nop)) {
        steps.add(operation);
      }
    }
    return steps.size() == operations.length ? operations : steps.toArray(new Operation[0]);
  }

  /// How many PUSH or POP of registers other than RSP follow each other.
  private static int runLength(Operation[] operations, int from) {
    int i = from;
    if (operations[from] instanceof StackInstructions.Push64) {
      while (i < operations.length
          && operations[i] instanceof StackInstructions.Push64 push
          && push.source != Cpu.RSP) {
        i++;
      }
    } else {
      while (i < operations.length
          && operations[i] instanceof StackInstructions.Pop64 pop
          && pop.destination != Cpu.RSP) {
        i++;
      }
    }
    return i - from;
  }

  private static @Nullable Operation fused(Operation operation, Operation next) {
    if (!(next instanceof ConditionalJump.Jump jump) || !TestedJump.knows(jump.condition())) {
      return null;
    }
    return switch (operation) {
      case Test.RegReg64 first -> new TestRegReg64(first, jump);
      case Test.RegReg32 first -> new TestRegReg32(first, jump);
      case Cmp.RegReg64 first -> new CmpRegReg64(first, jump);
      case Cmp.RegReg32 first -> new CmpRegReg32(first, jump);
      case Cmp.RegImm64 first -> new CmpRegImm64(first, jump);
      case Cmp.RegImm32 first -> new CmpRegImm32(first, jump);
      case ArithmeticInstructions.Test8RegReg first -> new Test8RegReg(first, jump);
      case ArithmeticInstructions.Test8RegImm first -> new Test8RegImm(first, jump);
      default -> null;
    };
  }

  /// PUSH of several registers.
  private static final class Pushes extends Operation {
    private final Operation[] pushes;
    private final byte[] registers;

    Pushes(Operation[] operations, int from, int count) {
      pushes = List.of(operations).subList(from, from + count).toArray(new Operation[0]);
      registers = new byte[count];
      for (int i = 0; i < count; i++) {
        registers[i] = (byte) ((StackInstructions.Push64) pushes[i]).source;
      }
      start = pushes[0].start;
      end = pushes[count - 1].end;
    }

    @Override
    void execute(Cpu c) {
      long[] r = c.r;
      byte[] sources = registers;
      long top = r[Cpu.RSP];
      long sp = top - 8L * sources.length;
      long[] t = c.writeTlb;
      int slot = Tlb.slot(sp);
      // All in one page that may be written: no fault, and nobody to ask.
      if (t[slot] != (top - 1 & Tlb.PAGE_MASK)) {
        each(c, pushes);
        return;
      }
      long to = top + t[slot + 1];
      for (byte source : sources) {
        to -= 8;
        Raw.setLong(to, r[source]);
      }
      r[Cpu.RSP] = sp;
    }
  }

  /// POP of several registers.
  private static final class Pops extends Operation {
    private final Operation[] pops;
    private final byte[] registers;

    Pops(Operation[] operations, int from, int count) {
      pops = List.of(operations).subList(from, from + count).toArray(new Operation[0]);
      registers = new byte[count];
      for (int i = 0; i < count; i++) {
        registers[i] = (byte) ((StackInstructions.Pop64) pops[i]).destination;
      }
      start = pops[0].start;
      end = pops[count - 1].end;
    }

    @Override
    void execute(Cpu c) {
      long[] r = c.r;
      byte[] destinations = registers;
      long sp = r[Cpu.RSP];
      long bottom = sp + 8L * destinations.length;
      long[] t = c.readTlb;
      int slot = Tlb.slot(sp);
      if (t[slot] != (bottom - 1 & Tlb.PAGE_MASK)) {
        each(c, pops);
        return;
      }
      long from = sp + t[slot + 1];
      for (byte destination : destinations) {
        r[destination] = Raw.getLong(from);
        from += 8;
      }
      r[Cpu.RSP] = bottom;
    }
  }

  /// Executes operations one by one, and notes which one threw.
  private static void each(Cpu c, Operation[] operations) {
    int i = 0;
    try {
      for (; i < operations.length; i++) {
        operations[i].execute(c);
      }
    } finally {
      if (i < operations.length) {
        c.within = operations[i];
      }
    }
  }

  /// An operation that sets the flags, and a conditional jump. The flags are in the processor too,
  /// as after the first alone.
  private abstract static class TestedJump extends Operation {
    private final ConditionalJump.Jump jump;
    private final long displacement;

    /// Bit n tells whether the jump is taken when n is made of CF (bit 0), ZF, SF and OF (bit 3).
    private final int truth;

    TestedJump(Operation first, ConditionalJump.Jump jump) {
      this.jump = jump;
      displacement = jump.displacement;
      truth = truth(jump.condition());
      start = first.start;
      end = jump.end;
    }

    /// All conditions but those of PF.
    static boolean knows(int condition) {
      return condition >> 1 != 5;
    }

    private static int truth(int condition) {
      int truth = 0;
      for (int n = 0; n < 16; n++) {
        boolean cf = (n & 1) != 0;
        boolean zf = (n & 2) != 0;
        boolean sf = (n & 4) != 0;
        boolean of = (n & 8) != 0;
        boolean holds =
            switch (condition >> 1) {
              case 0 -> of;
              case 1 -> cf;
              case 2 -> zf;
              case 3 -> cf || zf;
              case 4 -> sf;
              case 6 -> sf != of;
              default -> zf || sf != of;
            };
        if (holds != ((condition & 1) != 0)) {
          truth |= 1 << n;
        }
      }
      return truth;
    }

    /// The jump, after the first operation.
    final void jump(Cpu c) {
      long result = c.flagResult;
      long carry = c.flagCarry;
      int flags =
          (int) (carry >>> 63)
              | (result == 0 ? 2 : 0)
              | (int) ((result ^ carry << 63) >>> 63) << 2
              | (int) ((carry ^ carry << 1) >>> 63) << 3;
      long next = c.r[Cpu.RIP_BASE] + end;
      if ((truth >>> flags & 1) == 0) {
        c.rip = next;
        return;
      }
      long target = next + displacement;
      if (!Cpu.canonical(target)) {
        c.within = jump;
        throw c.generalProtection(0);
      }
      c.rip = target;
    }

    @Override
    final Flow flow() {
      return Flow.BRANCH;
    }
  }

  private static final class TestRegReg64 extends TestedJump {
    private final Test.RegReg64 first;

    TestRegReg64(Test.RegReg64 first, ConditionalJump.Jump jump) {
      super(first, jump);
      this.first = first;
    }

    @Override
    void execute(Cpu c) {
      first.execute(c);
      jump(c);
    }
  }

  private static final class TestRegReg32 extends TestedJump {
    private final Test.RegReg32 first;

    TestRegReg32(Test.RegReg32 first, ConditionalJump.Jump jump) {
      super(first, jump);
      this.first = first;
    }

    @Override
    void execute(Cpu c) {
      first.execute(c);
      jump(c);
    }
  }

  private static final class CmpRegReg64 extends TestedJump {
    private final Cmp.RegReg64 first;

    CmpRegReg64(Cmp.RegReg64 first, ConditionalJump.Jump jump) {
      super(first, jump);
      this.first = first;
    }

    @Override
    void execute(Cpu c) {
      first.execute(c);
      jump(c);
    }
  }

  private static final class CmpRegReg32 extends TestedJump {
    private final Cmp.RegReg32 first;

    CmpRegReg32(Cmp.RegReg32 first, ConditionalJump.Jump jump) {
      super(first, jump);
      this.first = first;
    }

    @Override
    void execute(Cpu c) {
      first.execute(c);
      jump(c);
    }
  }

  private static final class CmpRegImm64 extends TestedJump {
    private final Cmp.RegImm64 first;

    CmpRegImm64(Cmp.RegImm64 first, ConditionalJump.Jump jump) {
      super(first, jump);
      this.first = first;
    }

    @Override
    void execute(Cpu c) {
      first.execute(c);
      jump(c);
    }
  }

  private static final class CmpRegImm32 extends TestedJump {
    private final Cmp.RegImm32 first;

    CmpRegImm32(Cmp.RegImm32 first, ConditionalJump.Jump jump) {
      super(first, jump);
      this.first = first;
    }

    @Override
    void execute(Cpu c) {
      first.execute(c);
      jump(c);
    }
  }

  private static final class Test8RegReg extends TestedJump {
    private final ArithmeticInstructions.Test8RegReg first;

    Test8RegReg(ArithmeticInstructions.Test8RegReg first, ConditionalJump.Jump jump) {
      super(first, jump);
      this.first = first;
    }

    @Override
    void execute(Cpu c) {
      first.execute(c);
      jump(c);
    }
  }

  private static final class Test8RegImm extends TestedJump {
    private final ArithmeticInstructions.Test8RegImm first;

    Test8RegImm(ArithmeticInstructions.Test8RegImm first, ConditionalJump.Jump jump) {
      super(first, jump);
      this.first = first;
    }

    @Override
    void execute(Cpu c) {
      first.execute(c);
      jump(c);
    }
  }
}
