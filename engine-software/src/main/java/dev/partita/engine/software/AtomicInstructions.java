package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B, locked or not.
final class AtomicInstructions {
  private AtomicInstructions() {}

  /// Opcodes 0F C0 and C1.
  static Operation exchangeAdd(Instruction i) {
    int size = i.opcode == 0xC0 ? 1 : i.operandSize / 8;
    return i.isMemory()
        ? new ExchangeAddMemory(i, size)
        : new ExchangeAdd(Operands.rm(i, size), Operands.reg(i, size), size);
  }

  /// Opcodes 0F B0 and B1.
  static Operation compareExchange(Instruction i) {
    int size = i.opcode == 0xB0 ? 1 : i.operandSize / 8;
    return i.isMemory()
        ? new CompareExchangeMemory(i.operand(), Operands.reg(i, size), size, i.lock)
        : new CompareExchange(Operands.rm(i, size), Operands.reg(i, size), size);
  }

  /// Opcode 0F C7 /1.
  static @Nullable Operation compareExchangeDouble(Instruction i) {
    if (!i.isMemory()) {
      return null;
    }
    return i.rexW()
        ? new CompareExchange16(i.operand(), i.lock)
        : new CompareExchange8(i.operand());
  }

  private static void setZero(Cpu c, boolean zero) {
    int flags = c.arithmeticFlags();
    c.setArithmeticFlags(zero ? flags | Cpu.ZF : flags & ~Cpu.ZF);
  }

  private static final class ExchangeAdd extends Form.RegReg {
    final int size;

    ExchangeAdd(int destination, int source, int size) {
      super(destination, source);
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long old = Operands.get(c, destination, size);
      long sum = Arithmetic.add(c, old, Operands.get(c, source, size), 0, size);
      // This order: of one register with itself the sum stays.
      Operands.set(c, source, size, old);
      Operands.set(c, destination, size, sum);
    }
  }

  private static final class ExchangeAddMemory extends Form.Update {
    final int source;

    ExchangeAddMemory(Instruction i, int size) {
      super(i, size);
      this.source = Operands.reg(i, size);
    }

    @Override
    long compute(Cpu c, long old) {
      return Arithmetic.add(c, old, Operands.get(c, source, size), 0, size);
    }

    @Override
    void finish(Cpu c, long old) {
      Operands.set(c, source, size, old);
    }
  }

  private static final class CompareExchange extends Form.RegReg {
    final int size;

    CompareExchange(int destination, int source, int size) {
      super(destination, source);
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long old = Operands.get(c, destination, size);
      long expected = Operands.get(c, Cpu.RAX, size);
      Arithmetic.subtract(c, expected, old, 0, size);
      if (old == expected) {
        Operands.set(c, destination, size, Operands.get(c, source, size));
      } else {
        Operands.set(c, Cpu.RAX, size, old);
      }
    }
  }

  private static final class CompareExchangeMemory extends Form.MemReg {
    final int size;
    final boolean locked;

    CompareExchangeMemory(MemoryOperand memory, int source, int size, boolean locked) {
      super(memory, source);
      this.size = size;
      this.locked = locked;
    }

    @Override
    void execute(Cpu c) {
      long address = memory.writeAddress(c, size);
      long expected = Operands.get(c, Cpu.RAX, size);
      long value = Operands.get(c, source, size);
      long old;
      if (locked) {
        old = c.compareExchange(address, size, expected, value);
      } else {
        old = c.loadForUpdate(address, size);
        if (old == expected) {
          Operands.store(c, address, size, value);
        }
      }
      Arithmetic.subtract(c, expected, old, 0, size);
      if (old != expected) {
        Operands.set(c, Cpu.RAX, size, old);
      }
    }
  }

  private static final class CompareExchange8 extends Operation {
    final MemoryOperand memory;

    CompareExchange8(MemoryOperand memory) {
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      long address = memory.writeAddress(c, 8);
      long[] r = c.r;
      long expected = r[Cpu.RDX] << 32 | r[Cpu.RAX] & 0xFFFF_FFFFL;
      long value = r[Cpu.RCX] << 32 | r[Cpu.RBX] & 0xFFFF_FFFFL;
      long old = c.compareExchange(address, 8, expected, value);
      setZero(c, old == expected);
      if (old != expected) {
        c.set32(Cpu.RAX, (int) old);
        c.set32(Cpu.RDX, (int) (old >>> 32));
      }
    }
  }

  private static final class CompareExchange16 extends Operation {
    final MemoryOperand memory;
    final boolean locked;

    CompareExchange16(MemoryOperand memory, boolean locked) {
      this.memory = memory;
      this.locked = locked;
    }

    @Override
    void execute(Cpu c) {
      long address = memory.writeAddress(c, 16);
      if ((address & 15) != 0) {
        throw c.generalProtection(0);
      }
      long[] r = c.r;
      long low = r[Cpu.RAX];
      long high = r[Cpu.RDX];
      boolean done =
          locked
              ? c.compareExchange128(address, low, high, r[Cpu.RBX], r[Cpu.RCX])
              : c.exchange128(address, low, high, r[Cpu.RBX], r[Cpu.RCX]);
      setZero(c, done);
      if (!done) {
        r[Cpu.RAX] = c.mmu.oldLow;
        r[Cpu.RDX] = c.mmu.oldHigh;
      }
    }
  }
}
