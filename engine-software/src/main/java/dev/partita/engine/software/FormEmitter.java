package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_long;

import java.lang.classfile.CodeBuilder;

/// The part of {@link RegionEmitter} that knows instructions in their common forms. What returns a
/// boolean returns true, for {@link Operation#emit}.
abstract class FormEmitter extends OperandEmitter {
  FormEmitter(CodeBuilder b) {
    super(b);
  }

  /// reg op= reg.
  boolean registerRegister(int operation, int size, int destination, int source) {
    get(destination, size);
    get(source, size);
    return finishBinary(operation, size, destination);
  }

  /// reg op= constant.
  boolean registerConstant(int operation, int size, int destination, long constant) {
    get(destination, size);
    constant(constant, size);
    return finishBinary(operation, size, destination);
  }

  /// reg op= memory.
  boolean registerMemory(int operation, int size, int destination, MemoryOperand m) {
    load(m, size);
    popValue(size);
    get(destination, size);
    pushValue(size);
    return finishBinary(operation, size, destination);
  }

  private boolean finishBinary(int operation, int size, int destination) {
    arithmetic.binary(operation, size);
    if (!Arithmetic.comparesOnly(operation)) {
      put(destination, size);
    }
    return true;
  }

  /// memory op= reg.
  boolean memoryRegister(int operation, int size, MemoryOperand m, int source) {
    if (Arithmetic.comparesOnly(operation)) {
      load(m, size);
      get(source, size);
      arithmetic.binary(operation, size);
    } else {
      update(
          m,
          size,
          () -> {
            get(source, size);
            arithmetic.binary(operation, size);
          });
    }
    return true;
  }

  /// memory op= constant.
  boolean memoryConstant(int operation, int size, MemoryOperand m, long constant) {
    if (Arithmetic.comparesOnly(operation)) {
      load(m, size);
      constant(constant, size);
      arithmetic.binary(operation, size);
    } else {
      update(
          m,
          size,
          () -> {
            constant(constant, size);
            arithmetic.binary(operation, size);
          });
    }
    return true;
  }

  /// Changes a register or memory operand; not locked.
  boolean update(Form.Update operation, Runnable change) {
    int size = operation.size;
    var m = operation.memory;
    if (m != null) {
      update(m, size, change);
    } else {
      get(operation.register, size);
      change.run();
      put(operation.register, size);
    }
    return true;
  }

  /// Pushes a source operand.
  void source(Form.Source operation) {
    var m = operation.memory;
    if (m != null) {
      load(m, operation.size);
    } else {
      get(operation.register, operation.size);
    }
  }

  /// Pops into a local of the instruction under way.
  void storeValue(int size) {
    if (size == 8) {
      b.lstore(VALUE2);
    } else {
      b.istore(VALUE2);
    }
  }

  void loadValue(int size) {
    if (size == 8) {
      b.lload(VALUE2);
    } else {
      b.iload(VALUE2);
    }
  }

  /// Pops an int, extends its low bytes to a register.
  ///
  /// @param mask 32 or 64 ones
  void signExtend(int from, int destination, long mask) {
    if (from == 1) {
      b.i2b();
    } else if (from == 2) {
      b.i2s();
    }
    if (mask == -1L) {
      b.i2l();
      putLong(destination);
    } else {
      putInt(destination);
    }
  }

  /// CMOVcc: pops the value.
  void moveIf(int condition, int destination, int size) {
    storeValue(size);
    var yes = b.newLabel();
    var end = b.newLabel();
    // Before the ways part: it may bring locals into order.
    get(destination, size);
    if (size == 8) {
      b.lstore(VALUE);
    } else {
      b.istore(VALUE);
    }
    flagEmitter.branch(flags, condition, yes);
    pushValue(size);
    b.goto_(end);
    b.labelBinding(yes);
    loadValue(size);
    b.labelBinding(end);
    put(destination, size);
  }

  /// A shift of a register by a constant.
  boolean shift(int operation, int size, int destination, int count) {
    get(destination, size);
    arithmetic.shift(operation, size, count, true);
    put(destination, size);
    return true;
  }

  /// A shift of a register by CL; 32 and 64 bits.
  boolean shiftByCl(int operation, int size, int destination) {
    get(destination, size);
    getInt(Cpu.RCX);
    arithmetic.shiftBy(operation, size);
    put(destination, size);
    return true;
  }

  /// MUL and IMUL of 64 bits with a result of 128: pops the operand.
  void multiplyWide(boolean signed) {
    b.lstore(VALUE2);
    getLong(Cpu.RAX);
    b.lstore(VALUE);
    b.lload(VALUE).lload(VALUE2).lmul();
    b.dup2();
    putLong(Cpu.RAX);
    b.lload(VALUE).lload(VALUE2);
    invokeJava(
        Math.class, signed ? "multiplyHigh" : "unsignedMultiplyHigh", CD_long, CD_long, CD_long);
    b.dup2();
    putLong(Cpu.RDX);
    if (signed) {
      getLong(Cpu.RAX);
      b.bipush(63).lshr().lxor();
    }
    arithmetic.multiplied();
  }

  /// MUL of 32 bits: pops the operand.
  void multiplyUnsigned32() {
    extend();
    getInt(Cpu.RAX);
    extend();
    b.lmul().lstore(VALUE);
    b.lload(VALUE).l2i();
    putInt(Cpu.RAX);
    b.lload(VALUE).bipush(32).lushr().l2i();
    putInt(Cpu.RDX);
    b.lload(VALUE).l2i().i2l().lload(VALUE).bipush(32).lushr();
    arithmetic.multiplied();
  }

  /// Replaces two longs by their product; flags of a signed multiplication.
  void multiply64() {
    b.lstore(VALUE).lstore(VALUE2);
    b.lload(VALUE).lload(VALUE2).lmul();
    b.dup2();
    b.lload(VALUE).lload(VALUE2);
    arithmetic.multipliedSigned();
  }

  /// Replaces two sign-extended longs by the low half of their product, an int; flags.
  void multiply32() {
    b.lmul().lstore(VALUE);
    b.lload(VALUE).l2i();
    b.dup().i2l();
    b.dup2().lload(VALUE).lxor();
    arithmetic.multiplied();
  }

  /// BTS, BTR, BTC of a value on the stack.
  void change(int operation, int bit, int size) {
    long mask = 1L << bit;
    switch (operation) {
      case BitInstructions.SET -> {
        constant(mask, size);
        if (size == 8) {
          b.lor();
        } else {
          b.ior();
        }
      }
      case BitInstructions.RESET -> {
        constant(~mask, size);
        if (size == 8) {
          b.land();
        } else {
          b.iand();
        }
      }
      default -> {
        constant(mask, size);
        if (size == 8) {
          b.lxor();
        } else {
          b.ixor();
        }
      }
    }
  }
}
