package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_boolean;
import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;

import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;

/// The part of {@link RegionEmitter} that knows instructions in their common forms. What returns a
/// boolean returns true, for {@link Operation#emit}.
abstract class FormEmitter extends OperandEmitter {
  FormEmitter(CodeBuilder b, ClassDesc self, boolean optimized) {
    super(b, self, optimized);
  }

  /// reg op= reg.
  boolean registerRegister(int operation, int size, int destination, int source) {
    get(destination, size);
    get(source, size);
    return finishBinary(operation, size, destination, source, 0);
  }

  /// reg op= constant.
  boolean registerConstant(int operation, int size, int destination, long constant) {
    get(destination, size);
    constant(constant, size);
    return finishBinary(operation, size, destination, -1, constant);
  }

  /// reg op= memory.
  boolean registerMemory(int operation, int size, int destination, MemoryOperand m) {
    load(m, size);
    popValue(size);
    get(destination, size);
    pushValue(size);
    arithmetic.binary(operation, size);
    finishBinary(operation, size, destination);
    return true;
  }

  private boolean finishBinary(int operation, int size, int x, int y, long constant) {
    arithmetic.binary(operation, size);
    finishBinary(operation, size, x);
    follow(FlagJoins.Origin.of(flags.kind(), operation, size, x, y, constant));
    return true;
  }

  private void finishBinary(int operation, int size, int destination) {
    if (!Arithmetic.comparesOnly(operation)) {
      put(destination, size);
    }
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
    if (signed) {
      invokeJava(Math.class, "multiplyHigh", CD_long, CD_long, CD_long);
    } else {
      unsignedHigh();
    }
    b.dup2();
    putLong(Cpu.RDX);
    if (signed) {
      getLong(Cpu.RAX);
      b.bipush(63).lshr().lxor();
    }
    arithmetic.multiplied();
  }

  /// Replaces two longs by the upper half of their unsigned product.
  private void unsignedHigh() {
    if (optimized) {
      invokeJava(Math.class, "unsignedMultiplyHigh", CD_long, CD_long, CD_long);
    } else {
      invoke(of(MultiplyInstructions.class), "unsignedHigh", CD_long, CD_long, CD_long);
    }
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

  /// DIV and IDIV of 32 or 64 bits: pops the divisor.
  void divide(int size, boolean signed) {
    boolean wide = size == 8;
    var type = wide ? CD_long : CD_int;
    var owner = of(Division.class);
    var slow = b.newLabel();
    var done = b.newLabel();
    int divisor = TEMPORARY;
    int low = TEMPORARY + 2;
    int high = TEMPORARY + 4;
    int quotient = TEMPORARY + 6;
    storeLocal(divisor, size);
    get(Cpu.RAX, size);
    storeLocal(low, size);
    get(Cpu.RDX, size);
    storeLocal(high, size);
    push(high, size);
    push(low, size);
    push(divisor, size);
    invoke(owner, (signed ? "simpleSigned" : "simple") + 8 * size, CD_boolean, type, type, type);
    b.ifeq(slow);
    push(low, size);
    push(divisor, size);
    if (wide) {
      b.ldiv();
    } else {
      b.idiv();
    }
    storeLocal(quotient, size);
    b.labelBinding(done);
    stub(
        slow,
        () -> {
          b.aload(C);
          push(high, size);
          push(low, size);
          push(divisor, size);
          b.loadConstant(signed ? 1 : 0);
          invoke(owner, "quotient" + 8 * size, type, CPU, type, type, type, CD_boolean);
          storeLocal(quotient, size);
          checkThrown(exit);
          b.goto_(done);
        });
    push(low, size);
    push(quotient, size);
    push(divisor, size);
    if (wide) {
      b.lmul().lsub();
    } else {
      b.imul().isub();
    }
    put(Cpu.RDX, size);
    push(quotient, size);
    put(Cpu.RAX, size);
  }

  /// Replaces a long by the number of its zero bits at one end; 64 if there are but zeros.
  private void zeros(boolean trailing) {
    if (optimized) {
      var name = trailing ? "numberOfTrailingZeros" : "numberOfLeadingZeros";
      invokeJava(Long.class, name, CD_int, CD_long);
    } else {
      var name = trailing ? "trailingZeros" : "leadingZeros";
      invoke(of(BitInstructions.class), name, CD_int, CD_long);
    }
  }

  /// Pops an int that is not negative into a register.
  void putCount(int destination, int size) {
    if (size == 8) {
      b.i2l();
    }
    put(destination, size);
  }

  /// BSF and BSR: pops the operand, zero-extended to a long.
  void scan(boolean forward, int destination) {
    int operand = TEMPORARY;
    int bit = TEMPORARY + 2;
    var zero = b.newLabel();
    var end = b.newLabel();
    b.lstore(operand);
    // All of it: it stays as it is if the operand is 0.
    getLong(destination);
    b.lstore(VALUE);
    b.lload(operand).lconst_0().lcmp().ifeq(zero);
    if (!forward) {
      b.bipush(63);
    }
    b.lload(operand);
    zeros(forward);
    if (!forward) {
      b.isub();
    }
    b.istore(bit);
    b.iload(bit).i2l().lstore(VALUE);
    // Not zero whatever the bit; PF of its low byte.
    b.iload(bit).sipush(0x100).ior().istore(bit);
    b.goto_(end);
    b.labelBinding(zero);
    b.iconst_0().istore(bit);
    b.labelBinding(end);
    b.iload(bit);
    arithmetic.logicResult(4);
    b.lload(VALUE);
    putLong(destination);
  }

  /// TZCNT and LZCNT: pops the operand, zero-extended to a long.
  void count(boolean trailing, int destination, int size) {
    int operand = flagLocal();
    b.lstore(operand);
    b.lload(operand);
    if (trailing && size == 4) {
      b.loadConstant(1L << 32).lor();
    }
    zeros(trailing);
    if (!trailing && size == 4) {
      b.bipush(32).isub();
    }
    b.dup().i2l();
    // CF: whether the operand is 0.
    b.lload(operand).lconst_1().lsub().lload(operand).loadConstant(-1L).lxor().land();
    b.bipush(63).lushr().lstore(operand);
    arithmetic.bits(operand);
    putCount(destination, size);
  }

  /// MULX: pops the operand.
  void multiplyExtended(int size, int high, int low) {
    if (size == 8) {
      b.lstore(VALUE2);
      getLong(Cpu.RDX);
      b.lstore(VALUE);
      b.lload(VALUE).lload(VALUE2).lmul();
      putLong(low);
      b.lload(VALUE).lload(VALUE2);
      unsignedHigh();
      putLong(high);
    } else {
      extend();
      getInt(Cpu.RDX);
      extend();
      b.lmul().dup2().l2i();
      putInt(low);
      b.bipush(32).lushr().l2i();
      putInt(high);
    }
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
