package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// PUSH, POP, PUSHA, POPA, ENTER, LEAVE of general registers, memory and immediates.
final class StackInstructions {
  private StackInstructions() {}

  /// Opcodes 50 to 57.
  static Operation pushRegister(Instruction i) {
    return pushRegister(i.opcodeRegister(), i.stackOperandSize(), i.is64());
  }

  private static Operation pushRegister(int register, int size, boolean is64) {
    return is64 && size == 64 ? new Push64(register) : new Push(register, size / 8);
  }

  /// Opcodes 58 to 5F.
  static Operation popRegister(Instruction i) {
    return popRegister(i.opcodeRegister(), i.stackOperandSize(), i.is64());
  }

  private static Operation popRegister(int register, int size, boolean is64) {
    return is64 && size == 64 ? new Pop64(register) : new Pop(register, size / 8);
  }

  /// Opcodes 68 and 6A.
  static Operation pushImmediate(Instruction i) {
    return new PushImmediate(i.immediate, i.stackOperandSize() / 8);
  }

  /// Opcode FF /6.
  static Operation push(Instruction i) {
    int size = i.stackOperandSize();
    return i.isMemory()
        ? new PushMemory(i.operand(), size / 8)
        : pushRegister(i.rm, size, i.is64());
  }

  /// Opcode 8F /0.
  static @Nullable Operation pop(Instruction i) {
    if (i.extension() != 0) {
      return null;
    }
    int size = i.stackOperandSize();
    return i.isMemory() ? new PopMemory(i.operand(), size / 8) : popRegister(i.rm, size, i.is64());
  }

  /// Opcode 60, outside 64-bit mode.
  static Operation pushAll(Instruction i) {
    return new PushAll(i.operandSize / 8);
  }

  /// Opcode 61, outside 64-bit mode.
  static Operation popAll(Instruction i) {
    return new PopAll(i.operandSize / 8);
  }

  /// Opcode C8.
  static Operation enter(Instruction i) {
    return new Enter((int) i.immediate & 0xFFFF, i.immediate2 & 31, i.stackOperandSize() / 8);
  }

  /// Opcode C9.
  static Operation leave(Instruction i) {
    int size = i.stackOperandSize();
    return i.is64() && size == 64 ? new Leave64() : new Leave(size / 8);
  }

  static final class Push64 extends Operation {
    final int source;

    Push64(int source) {
      this.source = source;
    }

    @Override
    void execute(Cpu c) {
      Branch.push64(c, c.r[source]);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getLong(source);
      e.push();
      return true;
    }
  }

  static final class Pop64 extends Operation {
    final int destination;

    Pop64(int destination) {
      this.destination = destination;
    }

    @Override
    void execute(Cpu c) {
      long[] r = c.r;
      long sp = r[Cpu.RSP];
      long value = c.load64(Branch.stack64(c, sp));
      // This order: POP RSP keeps what it read.
      r[Cpu.RSP] = sp + 8;
      r[destination] = value;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getLong(Cpu.RSP);
      e.loadStack();
      e.getLong(Cpu.RSP);
      e.addConstant(8);
      e.putLong(Cpu.RSP);
      e.putLong(destination);
      return true;
    }
  }

  private static final class Push extends Operation {
    final int source;
    final int size;

    Push(int source, int size) {
      this.source = source;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      c.push(c.r[source], size);
    }
  }

  private static final class Pop extends Operation {
    final int destination;
    final int size;

    Pop(int destination, int size) {
      this.destination = destination;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      Operands.set(c, destination, size, c.pop(size));
    }
  }

  private static final class PushImmediate extends Operation {
    final long immediate;
    final int size;

    PushImmediate(long immediate, int size) {
      this.immediate = immediate;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      c.push(immediate, size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (size != 8) {
        return false;
      }
      e.b.loadConstant(immediate);
      e.push();
      return true;
    }
  }

  private static final class PushMemory extends Operation {
    final MemoryOperand memory;
    final int size;

    PushMemory(MemoryOperand memory, int size) {
      this.memory = memory;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      c.push(Operands.load(c, memory.readAddress(c, size), size), size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (size != 8) {
        return false;
      }
      e.load(memory, 8);
      e.push();
      return true;
    }
  }

  private static final class PopMemory extends Operation {
    final MemoryOperand memory;
    final int size;

    PopMemory(MemoryOperand memory, int size) {
      this.memory = memory;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long before = c.r[Cpu.RSP];
      long value = c.pop(size);
      boolean done = false;
      try {
        // An address based on RSP is computed with RSP after the pop.
        Operands.store(c, memory.writeAddress(c, size), size, value);
        done = true;
      } finally {
        if (!done) {
          c.r[Cpu.RSP] = before;
        }
      }
    }
  }

  private static final class PushAll extends Operation {
    final int size;

    PushAll(int size) {
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long mask = c.stackMask();
      long sp = c.r[Cpu.RSP];
      // RAX, RCX, RDX, RBX, the old RSP, RBP, RSI, RDI, downward.
      for (int register = 0; register < 8; register++) {
        sp = sp - size & mask;
        Operands.store(c, c.stackAddress(sp, size, true), size, c.r[register]);
      }
      c.setStackPointer(sp);
    }
  }

  private static final class PopAll extends Operation {
    final int size;

    PopAll(int size) {
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long sp = c.r[Cpu.RSP];
      long rdi = c.peek(sp, size);
      long rsi = c.peek(sp + size, size);
      long rbp = c.peek(sp + 2 * size, size);
      // RSP's image is skipped.
      long rbx = c.peek(sp + 4 * size, size);
      long rdx = c.peek(sp + 5 * size, size);
      long rcx = c.peek(sp + 6 * size, size);
      long rax = c.peek(sp + 7 * size, size);
      Operands.set(c, Cpu.RDI, size, rdi);
      Operands.set(c, Cpu.RSI, size, rsi);
      Operands.set(c, Cpu.RBP, size, rbp);
      Operands.set(c, Cpu.RBX, size, rbx);
      Operands.set(c, Cpu.RDX, size, rdx);
      Operands.set(c, Cpu.RCX, size, rcx);
      Operands.set(c, Cpu.RAX, size, rax);
      c.setStackPointer(sp + 8 * size);
    }
  }

  private static final class Enter extends Operation {
    final int locals;
    final int level;
    final int size;

    Enter(int locals, int level, int size) {
      this.locals = locals;
      this.level = level;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long mask = c.stackMask();
      long sp = c.r[Cpu.RSP] - size & mask;
      Operands.store(c, c.stackAddress(sp, size, true), size, c.r[Cpu.RBP]);
      // All of RSP, even if the stack uses only its low 16 bits.
      long frame = mask == 0xFFFF ? (c.r[Cpu.RSP] & ~mask) | sp : sp;
      if (level > 0) {
        long outer = c.r[Cpu.RBP];
        for (int n = 1; n < level; n++) {
          outer -= size;
          long link = c.peek(outer, size);
          sp = sp - size & mask;
          Operands.store(c, c.stackAddress(sp, size, true), size, link);
        }
        sp = sp - size & mask;
        Operands.store(c, c.stackAddress(sp, size, true), size, frame);
      }
      sp = sp - locals & mask;
      // The new top of the stack must be writable.
      c.mmu.probeWrite(c.stackAddress(sp, size, true), size);
      Operands.set(c, Cpu.RBP, size, frame);
      c.setStackPointer(sp);
    }
  }

  private static final class Leave64 extends Operation {
    @Override
    void execute(Cpu c) {
      long[] r = c.r;
      long sp = r[Cpu.RBP];
      long value = c.load64(Branch.stack64(c, sp));
      r[Cpu.RSP] = sp + 8;
      r[Cpu.RBP] = value;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getLong(Cpu.RBP);
      e.loadStack();
      e.getLong(Cpu.RBP);
      e.addConstant(8);
      e.putLong(Cpu.RSP);
      e.putLong(Cpu.RBP);
      return true;
    }
  }

  private static final class Leave extends Operation {
    final int size;

    Leave(int size) {
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long sp = c.r[Cpu.RBP];
      long value = c.peek(sp, size);
      c.setStackPointer(sp + size);
      Operands.set(c, Cpu.RBP, size, value);
    }
  }
}
