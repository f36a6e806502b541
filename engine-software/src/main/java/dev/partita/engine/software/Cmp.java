package dev.partita.engine.software;

/// CMP in 32 and 64 bits, not locked.
final class Cmp {
  private Cmp() {}

  static Operation regReg(int destination, int source, boolean wide) {
    return wide ? new RegReg64(destination, source) : new RegReg32(destination, source);
  }

  static Operation regImm(int destination, long immediate, boolean wide) {
    return wide ? new RegImm64(destination, immediate) : new RegImm32(destination, immediate);
  }

  static Operation regMem(int destination, MemoryOperand memory, boolean wide) {
    return wide ? new RegMem64(destination, memory) : new RegMem32(destination, memory);
  }

  static Operation memReg(MemoryOperand memory, int source, boolean wide) {
    return wide ? new MemReg64(memory, source) : new MemReg32(memory, source);
  }

  static Operation memImm(MemoryOperand memory, long immediate, boolean wide) {
    return wide ? new MemImm64(memory, immediate) : new MemImm32(memory, immediate);
  }

  static final class RegReg32 extends Form.RegReg {
    RegReg32(int destination, int source) {
      super(destination, source);
    }

    @Override
    void execute(Cpu c) {
      long[] r = c.r;
      int a = (int) r[destination];
      int b = (int) r[source];
      int result = a - b;
      c.subFlags32(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerRegister(Arithmetic.CMP, 4, destination, source);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  static final class RegImm32 extends Form.RegImm {
    RegImm32(int destination, long immediate) {
      super(destination, immediate);
    }

    @Override
    void execute(Cpu c) {
      long[] r = c.r;
      int a = (int) r[destination];
      int b = (int) immediate;
      int result = a - b;
      c.subFlags32(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerConstant(Arithmetic.CMP, 4, destination, immediate);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class RegMem32 extends Form.RegMem {
    RegMem32(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      int b = memory.load32(c);
      long[] r = c.r;
      int a = (int) r[destination];
      int result = a - b;
      c.subFlags32(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerMemory(Arithmetic.CMP, 4, destination, memory);
    }
  }

  private static final class MemReg32 extends Form.MemReg {
    MemReg32(MemoryOperand memory, int source) {
      super(memory, source);
    }

    @Override
    void execute(Cpu c) {
      int a = memory.load32(c);
      int b = (int) c.r[source];
      int result = a - b;
      c.subFlags32(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.memoryRegister(Arithmetic.CMP, 4, memory, source);
    }
  }

  private static final class MemImm32 extends Form.MemImm {
    MemImm32(MemoryOperand memory, long immediate) {
      super(memory, immediate);
    }

    @Override
    void execute(Cpu c) {
      int a = memory.load32(c);
      int b = (int) immediate;
      int result = a - b;
      c.subFlags32(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.memoryConstant(Arithmetic.CMP, 4, memory, immediate);
    }
  }

  static final class RegReg64 extends Form.RegReg {
    RegReg64(int destination, int source) {
      super(destination, source);
    }

    @Override
    void execute(Cpu c) {
      long[] r = c.r;
      long a = r[destination];
      long b = r[source];
      long result = a - b;
      c.subFlags64(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerRegister(Arithmetic.CMP, 8, destination, source);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  static final class RegImm64 extends Form.RegImm {
    RegImm64(int destination, long immediate) {
      super(destination, immediate);
    }

    @Override
    void execute(Cpu c) {
      long[] r = c.r;
      long a = r[destination];
      long b = immediate;
      long result = a - b;
      c.subFlags64(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerConstant(Arithmetic.CMP, 8, destination, immediate);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class RegMem64 extends Form.RegMem {
    RegMem64(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      long b = memory.load64(c);
      long[] r = c.r;
      long a = r[destination];
      long result = a - b;
      c.subFlags64(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerMemory(Arithmetic.CMP, 8, destination, memory);
    }
  }

  private static final class MemReg64 extends Form.MemReg {
    MemReg64(MemoryOperand memory, int source) {
      super(memory, source);
    }

    @Override
    void execute(Cpu c) {
      long a = memory.load64(c);
      long b = c.r[source];
      long result = a - b;
      c.subFlags64(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.memoryRegister(Arithmetic.CMP, 8, memory, source);
    }
  }

  private static final class MemImm64 extends Form.MemImm {
    MemImm64(MemoryOperand memory, long immediate) {
      super(memory, immediate);
    }

    @Override
    void execute(Cpu c) {
      long a = memory.load64(c);
      long b = immediate;
      long result = a - b;
      c.subFlags64(a, b, result);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.memoryConstant(Arithmetic.CMP, 8, memory, immediate);
    }
  }
}
