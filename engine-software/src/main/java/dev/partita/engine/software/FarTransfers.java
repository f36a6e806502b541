package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Far JMP, CALL and RET, through call gates too. Intel SDM volume 2, "JMP", "CALL", "RET", and
/// volume 3, 5.8.
final class FarTransfers {
  private FarTransfers() {}

  /// JMP or CALL with the pointer in the instruction (EA, 9A).
  static @Nullable Operation direct(Instruction i, boolean call) {
    if (i.is64()) {
      return null;
    }
    return new Direct(call, i.immediate2 & 0xFFFF, i.immediate, i.operandSize / 8);
  }

  /// JMP or CALL with the pointer in memory (FF /5, /3).
  static @Nullable Operation indirect(Instruction i, boolean call) {
    if (!i.isMemory()) {
      return null;
    }
    return new Indirect(call, i.operand(), i.operandSize / 8);
  }

  /// RET far (CA, CB).
  ///
  /// @param released bytes of parameters to take off the stack
  static Operation ret(Instruction i, int released) {
    return new Return(i.operandSize / 8, released & 0xFFFF);
  }

  private static final class Direct extends Operation {
    private final boolean call;
    private final int selector;
    private final long offset;
    private final int size;

    Direct(boolean call, int selector, long offset, int size) {
      this.call = call;
      this.selector = selector;
      this.offset = offset;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      transfer(c, call, selector, offset, size, c.ripMasked(nextRip(c)));
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  private static final class Indirect extends Operation {
    private final boolean call;
    private final MemoryOperand memory;
    private final int size;

    Indirect(boolean call, MemoryOperand memory, int size) {
      this.call = call;
      this.memory = memory;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long offset = FarPointer.offset(c, memory, size);
      int selector = FarPointer.selector(c, memory, size);
      transfer(c, call, selector, offset, size, c.ripMasked(nextRip(c)));
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  private static final class Return extends Operation {
    private final int size;
    private final int released;

    Return(int size, int released) {
      this.size = size;
      this.released = released;
    }

    @Override
    void execute(Cpu c) {
      farReturn(c, size, released);
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// Far JMP or CALL.
  ///
  /// @param size operand size in bytes
  /// @param next RIP of the next instruction
  static void transfer(Cpu c, boolean call, int selector, long offset, int size, long next) {
    if (c.protectedMode() && !c.virtual8086()) {
      protectedTransfer(c, call, selector, offset, size, next);
      return;
    }
    if (Long.compareUnsigned(offset, c.segmentLimit[Cpu.CS] & 0xFFFF_FFFFL) > 0) {
      throw c.generalProtection(0);
    }
    if (call) {
      var stack = StackFrame.current(c);
      stack.push(c.segmentSelector[Cpu.CS], size);
      stack.push(next, size);
      stack.commit();
    }
    Segments.setRealCode(c, selector);
    c.rip = offset;
    c.modeChanged();
  }

  private static void protectedTransfer(
      Cpu c, boolean call, int selector, long offset, int size, long next) {
    if (Descriptor.isNull(selector)) {
      throw c.generalProtection(0);
    }
    long raw = Descriptor.load(c, selector, GuestFault.GENERAL_PROTECTION);
    int attributes = Descriptor.attributes(raw);
    if ((attributes & Descriptor.SEGMENT) == 0) {
      systemTransfer(c, call, selector, raw, attributes, next);
      return;
    }
    int dpl = Descriptor.dpl(attributes);
    boolean allowed =
        Descriptor.isCode(attributes)
            && (Descriptor.isConforming(attributes)
                ? dpl <= c.cpl
                : dpl == c.cpl && (selector & 3) <= c.cpl);
    checkCode(c, selector, attributes, allowed);
    long target = Segments.checkedTarget(c, raw, attributes, offset);
    attributes = Descriptor.touch(c, selector, attributes);
    if (call) {
      var stack = StackFrame.current(c);
      stack.push(c.segmentSelector[Cpu.CS], size);
      stack.push(next, size);
      stack.commit();
    }
    Segments.setCode(c, selector, raw, attributes, c.cpl);
    c.rip = target;
    c.modeChanged();
  }

  /// Common checks of a code segment that is about to be entered.
  private static void checkCode(Cpu c, int selector, int attributes, boolean allowed) {
    boolean bothSizes =
        c.longMode()
            && (attributes & (Descriptor.LONG | Descriptor.BIG))
                == (Descriptor.LONG | Descriptor.BIG);
    if (!allowed || bothSizes) {
      throw c.generalProtection(selector & 0xFFFC);
    }
    if (!Descriptor.present(attributes)) {
      throw c.raise(GuestFault.SEGMENT_NOT_PRESENT, selector & 0xFFFC);
    }
  }

  /// To a call gate; task gates and task states are refused.
  private static void systemTransfer(
      Cpu c, boolean call, int selector, long raw, int attributes, long next) {
    int type = Descriptor.systemType(attributes);
    boolean gate =
        type == Descriptor.CALL_GATE || (type == Descriptor.CALL_GATE16 && !c.longMode());
    boolean task =
        !c.longMode()
            && (type == Descriptor.TASK_GATE || type == Descriptor.TSS || type == Descriptor.TSS16);
    int dpl = Descriptor.dpl(attributes);
    if ((!gate && !task) || dpl < c.cpl || (selector & 3) > dpl) {
      throw c.generalProtection(selector & 0xFFFC);
    }
    if (!Descriptor.present(attributes)) {
      throw c.raise(GuestFault.SEGMENT_NOT_PRESENT, selector & 0xFFFC);
    }
    if (task) {
      throw TaskState.switchRefused(c, "far transfer to selector 0x%x".formatted(selector));
    }
    int size = type == Descriptor.CALL_GATE16 ? 2 : c.longMode() ? 8 : 4;
    long offset = Descriptor.gateOffset(raw);
    if (size == 8) {
      long upper = Descriptor.loadUpper(c, selector, GuestFault.GENERAL_PROTECTION);
      if ((upper >>> 40 & 0x1F) != 0) {
        throw c.generalProtection(selector & 0xFFFC);
      }
      offset |= upper << 32;
    } else if (size == 2) {
      offset &= 0xFFFF;
    }
    int target = Descriptor.gateSelector(raw);
    if (Descriptor.isNull(target)) {
      throw c.generalProtection(0);
    }
    long code = Descriptor.load(c, target, GuestFault.GENERAL_PROTECTION);
    int codeAttributes = Descriptor.attributes(code);
    boolean conforming = Descriptor.isConforming(codeAttributes);
    int level = Descriptor.dpl(codeAttributes);
    boolean allowed =
        Descriptor.isCode(codeAttributes)
            && (call || conforming ? level <= c.cpl : level == c.cpl)
            && (size != 8 || (codeAttributes & Descriptor.LONG) != 0);
    checkCode(c, target, codeAttributes, allowed);
    offset = Segments.checkedTarget(c, code, codeAttributes, offset);
    codeAttributes = Descriptor.touch(c, target, codeAttributes);
    if (call && !conforming && level < c.cpl) {
      int parameters = size == 8 ? 0 : (int) (raw >>> 32) & 0x1F;
      switchStackForCall(c, level, size, parameters, next);
    } else {
      level = c.cpl;
      if (call) {
        var stack = StackFrame.current(c);
        stack.push(c.segmentSelector[Cpu.CS], size);
        stack.push(next, size);
        stack.commit();
      }
    }
    Segments.setCode(c, target, code, codeAttributes, level);
    c.rip = offset;
    c.modeChanged();
  }

  private static void switchStackForCall(Cpu c, int level, int size, int parameters, long next) {
    int selector = level;
    long raw = 0;
    int attributes = 0;
    StackFrame stack;
    if (size == 8) {
      stack = StackFrame.flat(c, TaskState.stackPointer64(c, level));
    } else {
      selector = TaskState.stackSelector(c, level);
      long pointer = TaskState.stackPointer(c, level);
      raw = Segments.checkedStack(c, selector, level, GuestFault.INVALID_TSS);
      attributes = Descriptor.touch(c, selector, Descriptor.attributes(raw));
      stack = StackFrame.inner(c, selector, raw, pointer);
    }
    // The caller's parameters are read with the caller's rights.
    var copied = new long[parameters];
    for (int n = 0; n < parameters; n++) {
      copied[n] = c.peek(c.r[Cpu.RSP] + (long) n * size, size);
    }
    int outer = c.cpl;
    c.cpl = level;
    c.mmu.select();
    try {
      stack.push(c.segmentSelector[Cpu.SS], size);
      stack.push(c.r[Cpu.RSP], size);
      for (int n = parameters - 1; n >= 0; n--) {
        stack.push(copied[n], size);
      }
      stack.push(c.segmentSelector[Cpu.CS], size);
      stack.push(next, size);
    } catch (GuestFault | ExecutionStop e) {
      c.cpl = outer;
      c.mmu.select();
      throw e;
    }
    if (size == 8) {
      Segments.setNullStack(c, level);
    } else {
      Segments.set(c, Cpu.SS, selector, raw, attributes);
    }
    stack.commit();
  }

  /// Far RET.
  ///
  /// @param size operand size in bytes
  static void farReturn(Cpu c, int size, int released) {
    long pointer = c.r[Cpu.RSP];
    long offset = c.peek(pointer, size);
    int selector = (int) c.peek(pointer + size, size) & 0xFFFF;
    if (!c.protectedMode() || c.virtual8086()) {
      if (offset > (c.segmentLimit[Cpu.CS] & 0xFFFF_FFFFL)) {
        throw c.generalProtection(0);
      }
      c.setStackPointer(pointer + 2L * size + released);
      Segments.setRealCode(c, selector);
      c.rip = offset;
      c.modeChanged();
      return;
    }
    long raw = loadReturnCode(c, selector);
    int attributes = Descriptor.attributes(raw);
    int level = selector & 3;
    if (level == c.cpl) {
      long target = Segments.checkedTarget(c, raw, attributes, offset);
      attributes = Descriptor.touch(c, selector, attributes);
      c.setStackPointer(pointer + 2L * size + released);
      Segments.setCode(c, selector, raw, attributes, level);
      c.rip = target;
      c.modeChanged();
      return;
    }
    long frame = pointer + 2L * size + released;
    long stackPointer = c.peek(frame, size);
    int stackSelector = (int) c.peek(frame + size, size) & 0xFFFF;
    returnOutward(c, selector, raw, offset, stackSelector, stackPointer + released);
  }

  /// Reads and checks the code segment that RET or IRET goes to, from protected mode.
  static long loadReturnCode(Cpu c, int selector) {
    if (Descriptor.isNull(selector)) {
      throw c.generalProtection(0);
    }
    long raw = Descriptor.load(c, selector, GuestFault.GENERAL_PROTECTION);
    int attributes = Descriptor.attributes(raw);
    int level = selector & 3;
    int dpl = Descriptor.dpl(attributes);
    boolean allowed =
        level >= c.cpl
            && Descriptor.isCode(attributes)
            && (Descriptor.isConforming(attributes) ? dpl <= level : dpl == level);
    checkCode(c, selector, attributes, allowed);
    return raw;
  }

  /// Completes RET or IRET that also loads SS and the stack pointer; they were read from the stack.
  /// Nothing is changed before all is checked.
  static void returnOutward(
      Cpu c, int selector, long raw, long offset, int stackSelector, long stackPointer) {
    int attributes = Descriptor.attributes(raw);
    int level = selector & 3;
    boolean to64 = c.longMode() && (attributes & Descriptor.LONG) != 0;
    boolean nullStack = Descriptor.isNull(stackSelector) && to64 && level != 3;
    long stackRaw = 0;
    int stackAttributes = 0;
    if (nullStack) {
      if ((stackSelector & 3) != level) {
        throw c.generalProtection(stackSelector & 0xFFFC);
      }
    } else {
      stackRaw = Segments.checkedStack(c, stackSelector, level, GuestFault.GENERAL_PROTECTION);
      stackAttributes = Descriptor.attributes(stackRaw);
    }
    long target = Segments.checkedTarget(c, raw, attributes, offset);
    attributes = Descriptor.touch(c, selector, attributes);
    if (nullStack) {
      Segments.setNullStack(c, stackSelector);
    } else {
      stackAttributes = Descriptor.touch(c, stackSelector, stackAttributes);
      Segments.set(c, Cpu.SS, stackSelector, stackRaw, stackAttributes);
    }
    boolean outward = level != c.cpl;
    Segments.setCode(c, selector, raw, attributes, level);
    c.rip = target;
    c.modeChanged();
    c.setStackPointer(stackPointer);
    if (outward) {
      Segments.dropInaccessible(c);
    }
  }
}
