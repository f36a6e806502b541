package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// MOV, PUSH and POP of segment registers, and the loads of far pointers (LDS, LES, LSS, LFS, LGS).
final class SegmentInstructions {
  private SegmentInstructions() {}

  /// MOV Sreg, r/m16.
  static @Nullable Operation moveTo(Instruction i) {
    if (i.reg > Cpu.GS || i.reg == Cpu.CS) {
      return null;
    }
    return new MoveTo(i.reg, i.rm, i.memory);
  }

  /// MOV r/m16, Sreg.
  static @Nullable Operation moveFrom(Instruction i) {
    if (i.reg > Cpu.GS) {
      return null;
    }
    return new MoveFrom(i.reg, i.rm, i.memory, i.operandSize);
  }

  static @Nullable Operation push(Instruction i, int segment) {
    if (i.is64() && segment < Cpu.FS) {
      return null;
    }
    return new Push(segment, i.stackOperandSize() / 8);
  }

  static @Nullable Operation pop(Instruction i, int segment) {
    if (i.is64() && segment < Cpu.FS) {
      return null;
    }
    return new Pop(segment, i.stackOperandSize() / 8);
  }

  /// LDS and its like.
  static @Nullable Operation loadFarPointer(Instruction i, int segment) {
    if (!i.isMemory() || (i.is64() && (segment == Cpu.ES || segment == Cpu.DS))) {
      return null;
    }
    return new LoadFarPointer(segment, i.reg, i.operandSize, i.operand());
  }

  /// A load of SS by MOV or POP keeps interrupts and debug exceptions away from the next
  /// instruction (SDM volume 3, 6.8.3).
  private static void stackLoaded(Cpu c) {
    c.debugShadow = true;
    c.owner.beginInterruptShadow();
  }

  private static final class MoveTo extends Operation {
    private final int segment;
    private final int register;
    private final @Nullable MemoryOperand memory;

    MoveTo(int segment, int register, @Nullable MemoryOperand memory) {
      this.segment = segment;
      this.register = register;
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      var m = memory;
      Segments.load(c, segment, m != null ? m.load16(c) : c.get16(register));
      if (segment == Cpu.SS) {
        stackLoaded(c);
      }
    }

    @Override
    Flow flow() {
      return segment == Cpu.SS ? Flow.END : Flow.NEXT;
    }
  }

  private static final class MoveFrom extends Operation {
    private final int segment;
    private final int register;
    private final @Nullable MemoryOperand memory;
    private final int size;

    MoveFrom(int segment, int register, @Nullable MemoryOperand memory, int size) {
      this.segment = segment;
      this.register = register;
      this.memory = memory;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      int selector = c.segmentSelector[segment];
      var m = memory;
      if (m != null) {
        m.store16(c, selector);
      } else if (size == 16) {
        c.set16(register, selector);
      } else {
        c.r[register] = selector;
      }
    }
  }

  private static final class Push extends Operation {
    private final int segment;
    private final int size;

    Push(int segment, int size) {
      this.segment = segment;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      if (size != 4) {
        c.push(c.segmentSelector[segment], size);
        return;
      }
      // With 32-bit operands Intel's processors write only 16 bits (SDM volume 2, "PUSH").
      long pointer = c.r[Cpu.RSP] - 4 & c.stackMask();
      c.store16(c.stackAddress(pointer, 2, true), c.segmentSelector[segment]);
      c.setStackPointer(pointer);
    }
  }

  private static final class Pop extends Operation {
    private final int segment;
    private final int size;

    Pop(int segment, int size) {
      this.segment = segment;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long pointer = c.r[Cpu.RSP] & c.stackMask();
      long mask = c.stackMask();
      Segments.load(c, segment, (int) c.peek(pointer, size));
      // The pointer moves in the stack that was popped from, also when SS itself changed.
      long moved = pointer + size & mask;
      if (mask == 0xFFFF) {
        c.set16(Cpu.RSP, (int) moved);
      } else {
        c.r[Cpu.RSP] = moved;
      }
      if (segment == Cpu.SS) {
        stackLoaded(c);
      }
    }

    @Override
    Flow flow() {
      return segment == Cpu.SS ? Flow.END : Flow.NEXT;
    }
  }

  private static final class LoadFarPointer extends Operation {
    private final int segment;
    private final int register;
    private final int size;
    private final MemoryOperand memory;

    LoadFarPointer(int segment, int register, int size, MemoryOperand memory) {
      this.segment = segment;
      this.register = register;
      this.size = size;
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      long offset = FarPointer.offset(c, memory, size / 8);
      Segments.load(c, segment, FarPointer.selector(c, memory, size / 8));
      switch (size) {
        case 16 -> c.set16(register, (int) offset);
        case 32 -> c.set32(register, (int) offset);
        default -> c.r[register] = offset;
      }
    }
  }
}
