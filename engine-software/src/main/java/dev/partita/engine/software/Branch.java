package dev.partita.engine.software;

/// Near control flow: JMP, CALL, RET, Jcc outside 64-bit mode, LOOP, JCXZ.
///
/// In 64-bit mode near branches have 64-bit targets whatever the operand-size prefix, as on Intel's
/// processors. Elsewhere a 16-bit operand size cuts the target to 16 bits.
final class Branch {
  private Branch() {}

  /// Opcodes E9 and EB.
  static Operation jump(Instruction i) {
    return i.is64() ? new Jump64(i.immediate) : new Jump(i);
  }

  /// Opcode E8.
  static Operation call(Instruction i) {
    return i.is64() ? new Call64(i.immediate) : new Call(i);
  }

  /// Opcodes 70 to 7F, 0F 80 to 0F 8F.
  static Operation conditional(Instruction i) {
    int condition = i.opcode & 15;
    return i.is64()
        ? ConditionalJump.create(condition, i.immediate)
        : new Conditional(i, condition);
  }

  /// Opcode FF /2.
  static Operation callIndirect(Instruction i) {
    return i.is64() ? new CallIndirect64(i) : new CallIndirect(i);
  }

  /// Opcode FF /4.
  static Operation jumpIndirect(Instruction i) {
    return i.is64() ? new JumpIndirect64(i) : new JumpIndirect(i);
  }

  /// Opcodes C2 and C3.
  static Operation ret(Instruction i) {
    int release = i.opcode == 0xC2 ? (int) i.immediate & 0xFFFF : 0;
    return i.is64() ? new Return64(release) : new Return(release, i.operandSize / 8);
  }

  /// Opcodes E0 to E3: LOOPNE, LOOPE, LOOP, JCXZ.
  static Operation countLoop(Instruction i) {
    return new CountLoop(i);
  }

  /// Checks a target in 64-bit mode.
  static long target64(Cpu c, long target) {
    if (target << 16 >> 16 != target) {
      throw c.generalProtection(0);
    }
    return target;
  }

  /// Pushes 8 bytes in 64-bit mode.
  static void push64(Cpu c, long value) {
    long sp = c.r[Cpu.RSP] - 8;
    c.store64(stack64(c, sp), value);
    c.r[Cpu.RSP] = sp;
  }

  /// Checks a stack address in 64-bit mode.
  static long stack64(Cpu c, long address) {
    if (address << 16 >> 16 != address) {
      throw c.raise(GuestFault.STACK_FAULT, 0);
    }
    return address;
  }

  // ---- 64-bit mode

  private static final class Jump64 extends Operation {
    final long displacement;

    Jump64(long displacement) {
      this.displacement = displacement;
    }

    @Override
    void execute(Cpu c) {
      c.rip = target64(c, c.r[Cpu.RIP_BASE] + end + displacement);
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.jump();
      return true;
    }

    @Override
    Follow follow() {
      return Follow.JUMP;
    }

    @Override
    long target() {
      return end + displacement;
    }
  }

  private static final class Call64 extends Operation {
    final long displacement;

    Call64(long displacement) {
      this.displacement = displacement;
    }

    @Override
    void execute(Cpu c) {
      long next = c.r[Cpu.RIP_BASE] + end;
      long target = target64(c, next + displacement);
      push64(c, next);
      c.rip = target;
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.call();
      return true;
    }

    @Override
    Follow follow() {
      return Follow.CALL;
    }

    @Override
    long target() {
      return end + displacement;
    }
  }

  private static final class Return64 extends Operation {
    /// Bytes to release besides the return address.
    final int release;

    Return64(int release) {
      this.release = release;
    }

    @Override
    void execute(Cpu c) {
      long sp = c.r[Cpu.RSP];
      long target = target64(c, c.load64(stack64(c, sp)));
      c.r[Cpu.RSP] = sp + 8 + release;
      c.rip = target;
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.ret(release);
      return true;
    }

    @Override
    Follow follow() {
      return Follow.RETURN;
    }
  }

  private static final class CallIndirect64 extends Form.Source {
    CallIndirect64(Instruction i) {
      super(i, 8);
    }

    @Override
    void execute(Cpu c) {
      var m = memory;
      long target = target64(c, m == null ? c.r[register] : m.load64(c));
      push64(c, c.r[Cpu.RIP_BASE] + end);
      c.rip = target;
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      e.popTarget();
      e.pushReturn();
      e.dispatch();
      return true;
    }

    @Override
    Follow follow() {
      return Follow.INDIRECT_CALL;
    }
  }

  private static final class JumpIndirect64 extends Form.Source {
    JumpIndirect64(Instruction i) {
      super(i, 8);
    }

    @Override
    void execute(Cpu c) {
      var m = memory;
      c.rip = target64(c, m == null ? c.r[register] : m.load64(c));
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      e.popTarget();
      e.dispatch();
      return true;
    }

    @Override
    Follow follow() {
      return Follow.INDIRECT_JUMP;
    }
  }

  // ---- 16- and 32-bit code

  /// A branch relative to the next instruction.
  private abstract static class Relative extends Operation {
    final long displacement;

    /// 2 or 4.
    final int size;

    Relative(Instruction i) {
      this.displacement = i.immediate;
      this.size = i.operandSize / 8;
    }

    final long next(Cpu c) {
      return c.ripMasked(nextRip(c));
    }

    final long target(Cpu c) {
      return c.nearTarget(nextRip(c) + displacement & Operands.mask(size));
    }

    @Override
    final Flow flow() {
      return Flow.BRANCH;
    }
  }

  private static final class Jump extends Relative {
    Jump(Instruction i) {
      super(i);
    }

    @Override
    void execute(Cpu c) {
      c.rip = target(c);
    }
  }

  private static final class Conditional extends Relative {
    final int condition;

    Conditional(Instruction i, int condition) {
      super(i);
      this.condition = condition;
    }

    @Override
    void execute(Cpu c) {
      c.rip = Condition.holds(c, condition) ? target(c) : next(c);
    }
  }

  private static final class Call extends Relative {
    Call(Instruction i) {
      super(i);
    }

    @Override
    void execute(Cpu c) {
      long target = target(c);
      c.push(next(c), size);
      c.rip = target;
    }
  }

  private static final class Return extends Operation {
    final int release;
    final int size;

    Return(int release, int size) {
      this.release = release;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long sp = c.r[Cpu.RSP];
      long target = c.nearTarget(c.peek(sp, size));
      c.setStackPointer(sp + size + release);
      c.rip = target;
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  private static final class CallIndirect extends Form.Source {
    CallIndirect(Instruction i) {
      super(i, i.operandSize / 8);
    }

    @Override
    void execute(Cpu c) {
      long target = c.nearTarget(source(c));
      c.push(c.ripMasked(nextRip(c)), size);
      c.rip = target;
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  private static final class JumpIndirect extends Form.Source {
    JumpIndirect(Instruction i) {
      super(i, i.operandSize / 8);
    }

    @Override
    void execute(Cpu c) {
      c.rip = c.nearTarget(source(c));
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  // ---- All modes

  /// LOOPNE, LOOPE, LOOP, JCXZ: the address size chooses CX, ECX or RCX.
  private static final class CountLoop extends Operation {
    /// 0 LOOPNE, 1 LOOPE, 2 LOOP, 3 JCXZ.
    final int kind;

    final long displacement;
    final int counterSize;
    final boolean is64;
    final long targetMask;

    CountLoop(Instruction i) {
      this.kind = i.opcode & 3;
      this.displacement = i.immediate;
      this.counterSize = i.addressSize / 8;
      this.is64 = i.is64();
      this.targetMask = is64 ? -1L : Operands.mask(i.operandSize / 8);
    }

    @Override
    void execute(Cpu c) {
      long count = Operands.get(c, Cpu.RCX, counterSize);
      boolean taken;
      if (kind == 3) {
        taken = count == 0;
      } else {
        count = count - 1 & Operands.mask(counterSize);
        taken = count != 0 && (kind == 2 || c.zf() == (kind == 1));
      }
      long next = c.ripMasked(nextRip(c));
      c.rip = taken ? c.nearTarget(next + displacement & targetMask) : next;
      if (kind != 3) {
        Operands.set(c, Cpu.RCX, counterSize, count);
      }
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }
}
