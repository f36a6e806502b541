package dev.partita.engine.software;

import dev.partita.hypervisor.Intercept;

/// Delivery of exceptions and interrupts through the IDT or the real-mode vector table. Intel SDM
/// volume 3, chapter 6 ("Interrupt and Exception Handling"), and volume 2, "INT n".
///
/// A fault on the way leaves registers as they were before; what then happens is in {@link
/// #deliver}.
final class EventDelivery {
  // What raised an event decides which checks it meets.
  /// An exception or an interrupt from outside the program: no check of the gate's DPL.
  private static final int HARDWARE = 0;

  /// INT n, INT3, INTO: the gate's DPL must let the program through.
  private static final int SOFTWARE = 1;

  // Debug registers: SDM volume 3, 18.2.
  private static final long DR6_BD = 1 << 13;
  private static final long DR6_BS = 1 << 14;
  private static final long DR7_GD = 1 << 13;

  private EventDelivery() {}

  // ---- From the execution loop
  // ----------------------------------------------------------------------

  /// Delivers a fault; {@link Cpu#rip} is at the instruction that raised it.
  static void exception(Cpu c, GuestFault fault) {
    if (fault.vector == GuestFault.PAGE_FAULT) {
      c.cr2 = fault.address;
    }
    // Faults push RF set, so that an instruction breakpoint is not hit again on return; the
    // breakpoint's own fault does not (SDM volume 3, 18.3.1.1).
    deliver(c, fault.vector, fault.errorCode, fault.vector != GuestFault.DEBUG);
  }

  /// Delivers an interrupt that the local APIC or the legacy controller gave.
  static void interrupt(Cpu c, int vector) {
    deliver(c, vector, GuestFault.NO_ERROR_CODE, false);
  }

  /// Delivers a non-maskable interrupt, and masks further ones until IRET.
  static void nmi(Cpu c) {
    c.nmiMasked = true;
    deliver(c, GuestFault.NMI, GuestFault.NO_ERROR_CODE, false);
  }

  /// After an instruction that ran with TF set.
  static void singleStepTrap(Cpu c) {
    c.debug[6] |= DR6_BS;
    deliver(c, GuestFault.DEBUG, GuestFault.NO_ERROR_CODE, false);
  }

  /// Before an instruction: raises the debug fault if a breakpoint in DR0 to DR3 is there.
  ///
  /// @param linear of its first byte
  static void checkInstructionBreakpoints(Cpu c, long linear) {
    if ((c.debug[7] & 0xFF) == 0 || (c.systemFlags & Cpu.RF) != 0) {
      return;
    }
    long hit = 0;
    for (int i = 0; i < 4; i++) {
      if (isInstructionBreakpoint(c.debug[7], i) && c.debug[i] == linear) {
        hit |= 1L << i;
      }
    }
    if (hit != 0) {
      c.debug[6] = c.debug[6] & ~0xFL | hit;
      throw c.raise(GuestFault.DEBUG);
    }
  }

  /// Whether any instruction breakpoint is enabled.
  static boolean breakpointsArmed(Cpu c) {
    long dr7 = c.debug[7];
    if ((dr7 & 0xFF) == 0) {
      return false;
    }
    for (int i = 0; i < 4; i++) {
      if (isInstructionBreakpoint(dr7, i)) {
        return true;
      }
    }
    return false;
  }

  /// L or G set, R/W and LEN 0.
  private static boolean isInstructionBreakpoint(long dr7, int i) {
    return (dr7 >>> 2 * i & 3) != 0 && (dr7 >>> 16 + 4 * i & 15) == 0;
  }

  /// An access to a debug register while DR7.GD is set.
  static GuestFault generalDetect(Cpu c) {
    c.debug[6] |= DR6_BD;
    return c.raise(GuestFault.DEBUG);
  }

  /// Delivers what a restored state had pending; called when a processor begins to run.
  static void pending(Cpu c) {
    int exception = c.pendingException;
    int interrupt = c.pendingInterrupt;
    c.pendingException = -1;
    c.pendingInterrupt = -1;
    if (exception >= 0) {
      deliver(c, exception, c.pendingErrorCode, isFault(exception));
    }
    if (interrupt >= 0) {
      deliver(c, interrupt, GuestFault.NO_ERROR_CODE, false);
    }
  }

  private static boolean isFault(int vector) {
    return vector != GuestFault.DEBUG
        && vector != GuestFault.BREAKPOINT
        && vector != GuestFault.OVERFLOW
        && vector != GuestFault.DOUBLE_FAULT;
  }

  // ---- From instructions
  // ----------------------------------------------------------------------------

  /// INT n, INT3 and INTO. A fault on the way is the instruction's own.
  ///
  /// @param next RIP of the next instruction
  static void software(Cpu c, int vector, long next) {
    through(c, vector, GuestFault.NO_ERROR_CODE, next, c.systemFlags & Cpu.RF, SOFTWARE);
    finishSoftware(c);
  }

  /// INT1: a debug exception from an instruction, which meets no check of the gate's DPL.
  static void softwareDebug(Cpu c, long next) {
    through(c, GuestFault.DEBUG, GuestFault.NO_ERROR_CODE, next, 0, HARDWARE);
    finishSoftware(c);
  }

  private static void finishSoftware(Cpu c) {
    c.interruptShadow = false;
    c.stepTrapCancelled = true;
  }

  /// INT n in virtual-8086 mode that goes to the task's own handler (CR4.VME): as in real mode, but
  /// with IOPL below 3 the program sees VIF as its IF.
  static void redirected(Cpu c, int vector, long next) {
    long entry = c.mmu.loadSystem(4L * vector, 4);
    int flags = (int) c.flags();
    boolean virtual = (flags & Cpu.IOPL) != Cpu.IOPL;
    int pushed = flags;
    if (virtual) {
      pushed = flags & ~Cpu.IF | Cpu.IOPL | ((flags & Cpu.VIF) != 0 ? Cpu.IF : 0);
    }
    var stack = StackFrame.current(c);
    stack.push(pushed, 2);
    stack.push(c.segmentSelector[Cpu.CS], 2);
    stack.push(next, 2);
    stack.commit();
    c.systemFlags &= ~(Cpu.TF | Cpu.NT | Cpu.RF | (virtual ? Cpu.VIF : Cpu.IF));
    Segments.setRealCode(c, (int) (entry >>> 16));
    c.rip = entry & 0xFFFF;
    c.modeChanged();
    finishSoftware(c);
  }

  // ---- Exceptions during delivery
  // -------------------------------------------------------------------

  /// Delivers an event whose faults become exceptions of their own: SDM volume 3, 6.15, "Interrupt
  /// 8", tables 6-4 and 6-5.
  private static void deliver(Cpu c, int vector, int errorCode, boolean resume) {
    c.interruptShadow = false;
    c.debugShadow = false;
    c.halted = false;
    while (true) {
      try {
        int resumeFlag = resume ? Cpu.RF : c.systemFlags & Cpu.RF;
        through(c, vector, errorCode, c.rip, resumeFlag, HARDWARE);
        return;
      } catch (GuestFault fault) {
        int next = fault.vector;
        int nextError = fault.errorCode;
        if (next == GuestFault.PAGE_FAULT) {
          c.cr2 = fault.address;
        } else if (next >= GuestFault.INVALID_TSS && next <= GuestFault.GENERAL_PROTECTION) {
          // EXT: the program did not ask for the event that led here.
          nextError |= 1;
        }
        if (vector == GuestFault.DOUBLE_FAULT) {
          throw tripleFault(c, next);
        }
        if (makesDoubleFault(vector, next)) {
          vector = GuestFault.DOUBLE_FAULT;
          errorCode = 0;
          resume = false;
        } else {
          vector = next;
          errorCode = nextError;
          resume = true;
        }
      }
    }
  }

  private static boolean isContributory(int vector) {
    return vector == GuestFault.DIVIDE_ERROR
        || (vector >= GuestFault.INVALID_TSS && vector <= GuestFault.GENERAL_PROTECTION);
  }

  private static boolean makesDoubleFault(int first, int second) {
    if (first == GuestFault.PAGE_FAULT) {
      return isContributory(second) || second == GuestFault.PAGE_FAULT;
    }
    return isContributory(first) && isContributory(second);
  }

  private static ShutdownSignal tripleFault(Cpu c, int vector) {
    return new ShutdownSignal(
        Intercept.Shutdown.Reason.TRIPLE_FAULT,
        "triple fault: exception %d while a double fault was delivered, at CS:RIP 0x%x:0x%x"
            .formatted(vector, c.segmentSelector[Cpu.CS], c.rip));
  }

  // ---- The way through a gate
  // -----------------------------------------------------------------------

  /// Delivers one event, or throws with registers unchanged.
  ///
  /// @param rip to be pushed
  /// @param resumeFlag RF as it is to be pushed
  private static void through(
      Cpu c, int vector, int errorCode, long rip, int resumeFlag, int source) {
    int flags = (int) c.flags() & ~Cpu.RF | resumeFlag;
    if (!c.protectedMode()) {
      throughVectorTable(c, vector, rip, flags);
    } else if (c.longMode()) {
      throughLongGate(c, vector, errorCode, rip, flags, source);
    } else {
      throughGate(c, vector, errorCode, rip, flags, source);
    }
    if (vector == GuestFault.DEBUG) {
      c.debug[7] &= ~DR7_GD;
      c.msrs.debugControl = 0;
    }
  }

  private static void throughVectorTable(Cpu c, int vector, long rip, int flags) {
    if (4 * vector + 3 > c.idtrLimit) {
      throw c.generalProtection(8 * vector + 2);
    }
    long entry = c.mmu.loadSystem(c.idtrBase + 4L * vector & 0xFFFF_FFFFL, 4);
    var stack = StackFrame.current(c);
    stack.push(flags, 2);
    stack.push(c.segmentSelector[Cpu.CS], 2);
    stack.push(rip, 2);
    stack.commit();
    c.systemFlags &= ~(Cpu.IF | Cpu.TF | Cpu.AC | Cpu.RF);
    Segments.setRealCode(c, (int) (entry >>> 16));
    c.rip = entry & 0xFFFF;
    c.modeChanged();
  }

  /// Whether a vector's handler finds an error code on its stack: SDM volume 3, table 6-1.
  private static boolean hasErrorCode(int vector, int errorCode) {
    return switch (vector) {
      case GuestFault.DOUBLE_FAULT,
          GuestFault.INVALID_TSS,
          GuestFault.SEGMENT_NOT_PRESENT,
          GuestFault.STACK_FAULT,
          GuestFault.GENERAL_PROTECTION,
          GuestFault.PAGE_FAULT,
          GuestFault.ALIGNMENT_CHECK ->
          errorCode != GuestFault.NO_ERROR_CODE;
      default -> false;
    };
  }

  /// Checks what 16-, 32- and 64-bit gates have in common.
  ///
  /// @param attributes the gate's
  private static void checkGate(Cpu c, int vector, int attributes, int source) {
    int errorCode = 8 * vector + 2;
    if (source == SOFTWARE && Descriptor.dpl(attributes) < c.cpl) {
      throw c.generalProtection(errorCode);
    }
    if (!Descriptor.present(attributes)) {
      throw c.raise(GuestFault.SEGMENT_NOT_PRESENT, errorCode);
    }
  }

  /// Reads and checks the code segment that a gate names.
  private static long loadHandlerCode(Cpu c, int selector) {
    if (Descriptor.isNull(selector)) {
      throw c.generalProtection(0);
    }
    long code = Descriptor.load(c, selector, GuestFault.GENERAL_PROTECTION);
    int attributes = Descriptor.attributes(code);
    if (!Descriptor.isCode(attributes) || Descriptor.dpl(attributes) > c.cpl) {
      throw c.generalProtection(selector & 0xFFFC);
    }
    if (c.longMode() && (attributes & (Descriptor.LONG | Descriptor.BIG)) != Descriptor.LONG) {
      throw c.generalProtection(selector & 0xFFFC);
    }
    if (!Descriptor.present(attributes)) {
      throw c.raise(GuestFault.SEGMENT_NOT_PRESENT, selector & 0xFFFC);
    }
    return code;
  }

  /// A 32-bit or 16-bit gate, outside long mode.
  private static void throughGate(
      Cpu c, int vector, int errorCode, long rip, int flags, int source) {
    if (8 * vector + 7 > c.idtrLimit) {
      throw c.generalProtection(8 * vector + 2);
    }
    long gate = c.mmu.loadSystem(c.idtrBase + 8L * vector & 0xFFFF_FFFFL, 8);
    int gateAttributes = Descriptor.attributes(gate);
    int type = Descriptor.systemType(gateAttributes);
    int size;
    switch (type) {
      case Descriptor.INTERRUPT_GATE, Descriptor.TRAP_GATE -> size = 4;
      case Descriptor.INTERRUPT_GATE16, Descriptor.TRAP_GATE16 -> size = 2;
      case Descriptor.TASK_GATE -> size = 0;
      default -> throw c.generalProtection(8 * vector + 2);
    }
    checkGate(c, vector, gateAttributes, source);
    if (size == 0) {
      throw TaskState.switchRefused(c, "task gate in IDT entry " + vector);
    }
    int selector = Descriptor.gateSelector(gate);
    long code = loadHandlerCode(c, selector);
    int attributes = Descriptor.attributes(code);
    boolean conforming = Descriptor.isConforming(attributes);
    int level = conforming ? c.cpl : Descriptor.dpl(attributes);
    boolean virtual = c.virtual8086();
    if (virtual && level != 0) {
      throw c.generalProtection(selector & 0xFFFC);
    }
    long target = Descriptor.gateOffset(gate);
    if (size == 2) {
      target &= 0xFFFF;
    }
    target = Segments.checkedTarget(c, code, attributes, target);
    boolean interruptGate = (type & 1) == 0;
    attributes = Descriptor.touch(c, selector, attributes);
    if (level == c.cpl) {
      var stack = StackFrame.current(c);
      pushReturn(c, stack, size, rip, flags, vector, errorCode);
      stack.commit();
    } else {
      int stackSelector = TaskState.stackSelector(c, level);
      long stackPointer = TaskState.stackPointer(c, level);
      long stackRaw = Segments.checkedStack(c, stackSelector, level, GuestFault.INVALID_TSS);
      var stack = StackFrame.inner(c, stackSelector, stackRaw, stackPointer);
      int stackAttributes = Descriptor.touch(c, stackSelector, Descriptor.attributes(stackRaw));
      int outer = c.cpl;
      c.cpl = level;
      c.mmu.select();
      try {
        if (virtual) {
          stack.push(c.segmentSelector[Cpu.GS], size);
          stack.push(c.segmentSelector[Cpu.FS], size);
          stack.push(c.segmentSelector[Cpu.DS], size);
          stack.push(c.segmentSelector[Cpu.ES], size);
        }
        stack.push(c.segmentSelector[Cpu.SS], size);
        stack.push(c.r[Cpu.RSP], size);
        pushReturn(c, stack, size, rip, flags, vector, errorCode);
      } catch (GuestFault | ExecutionStop e) {
        c.cpl = outer;
        c.mmu.select();
        throw e;
      }
      if (virtual) {
        c.systemFlags &= ~Cpu.VM;
        Segments.setNull(c, Cpu.GS, 0);
        Segments.setNull(c, Cpu.FS, 0);
        Segments.setNull(c, Cpu.DS, 0);
        Segments.setNull(c, Cpu.ES, 0);
      }
      Segments.set(c, Cpu.SS, stackSelector, stackRaw, stackAttributes);
      stack.commit();
    }
    enter(c, selector, code, attributes, level, target, interruptGate);
  }

  private static void pushReturn(
      Cpu c, StackFrame stack, int size, long rip, int flags, int vector, int errorCode) {
    stack.push(flags & 0xFFFF_FFFFL, size);
    stack.push(c.segmentSelector[Cpu.CS], size);
    stack.push(rip, size);
    if (hasErrorCode(vector, errorCode)) {
      stack.push(errorCode, size);
    }
  }

  private static void enter(
      Cpu c,
      int selector,
      long code,
      int attributes,
      int level,
      long target,
      boolean interruptGate) {
    Segments.setCode(c, selector, code, attributes, level);
    c.systemFlags &= ~(Cpu.TF | Cpu.NT | Cpu.RF | Cpu.VM | (interruptGate ? Cpu.IF : 0));
    c.rip = target;
    c.modeChanged();
  }

  /// A gate of long mode: always a frame of 64-bit words with SS and RSP, aligned to 16 bytes.
  private static void throughLongGate(
      Cpu c, int vector, int errorCode, long rip, int flags, int source) {
    if (16 * vector + 15 > c.idtrLimit) {
      throw c.generalProtection(8 * vector + 2);
    }
    long gate = c.mmu.loadSystem(c.idtrBase + 16L * vector, 8);
    int gateAttributes = Descriptor.attributes(gate);
    int type = Descriptor.systemType(gateAttributes);
    if (type != Descriptor.INTERRUPT_GATE && type != Descriptor.TRAP_GATE) {
      throw c.generalProtection(8 * vector + 2);
    }
    checkGate(c, vector, gateAttributes, source);
    long upper = c.mmu.loadSystem(c.idtrBase + 16L * vector + 8, 8);
    int selector = Descriptor.gateSelector(gate);
    long code = loadHandlerCode(c, selector);
    int attributes = Descriptor.attributes(code);
    int level = Descriptor.isConforming(attributes) ? c.cpl : Descriptor.dpl(attributes);
    long target = Descriptor.gateOffset(gate) | upper << 32;
    if (!Cpu.canonical(target)) {
      throw c.generalProtection(0);
    }
    attributes = Descriptor.touch(c, selector, attributes);
    int outer = c.cpl;
    int stackIndex = (int) (gate >>> 32) & 7;
    long pointer;
    if (stackIndex != 0) {
      pointer = TaskState.interruptStack(c, stackIndex);
    } else if (level != outer) {
      pointer = TaskState.stackPointer64(c, level);
    } else {
      pointer = c.r[Cpu.RSP];
    }
    var stack = StackFrame.flat(c, pointer & ~0xFL);
    c.cpl = level;
    c.mmu.select();
    try {
      stack.push(c.segmentSelector[Cpu.SS], 8);
      stack.push(c.r[Cpu.RSP], 8);
      pushReturn(c, stack, 8, rip, flags, vector, errorCode);
    } catch (GuestFault | ExecutionStop e) {
      c.cpl = outer;
      c.mmu.select();
      throw e;
    }
    if (level != outer) {
      Segments.setNullStack(c, level);
    }
    c.r[Cpu.RSP] = stack.pointer;
    enter(c, selector, code, attributes, level, target, type == Descriptor.INTERRUPT_GATE);
  }
}
