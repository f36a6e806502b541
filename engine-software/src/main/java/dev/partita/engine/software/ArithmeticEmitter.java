package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;

import dev.partita.engine.software.RegionFlags.Kind;
import java.lang.classfile.CodeBuilder;

/// Emits arithmetic on the stack that sets flags.
final class ArithmeticEmitter {
  private final OperandEmitter e;
  private final CodeBuilder b;

  ArithmeticEmitter(OperandEmitter e) {
    this.e = e;
    this.b = e.b;
  }

  /// Replaces two operands on the stack by the result, or by nothing for CMP and TEST; sets flags.
  void binary(int operation, int size) {
    int second = e.flagLocal();
    e.storeLocal(second, size);
    int first = e.flagLocal(second);
    e.storeLocal(first, size);
    int result = e.flagLocal(second, first);
    var kind =
        switch (operation) {
          case Arithmetic.ADD -> Kind.ADD;
          case Arithmetic.ADC -> Kind.ADC;
          case Arithmetic.SUB, Arithmetic.CMP -> Kind.SUB;
          case Arithmetic.SBB -> Kind.SBB;
          default -> Kind.LOGIC;
        };
    e.push(first, size);
    e.push(second, size);
    boolean wide = size == 8;
    switch (kind) {
      case ADD -> add(wide);
      case ADC -> {
        add(wide);
        pushOperandCarry(wide);
        add(wide);
      }
      case SUB -> subtract(wide);
      case SBB -> {
        subtract(wide);
        pushOperandCarry(wide);
        subtract(wide);
      }
      default -> logic(operation, wide);
    }
    if (!Arithmetic.comparesOnly(operation)) {
      if (wide) {
        b.dup2();
      } else {
        b.dup();
      }
    }
    e.storeLocal(result, size);
    e.flags =
        kind == Kind.LOGIC
            ? new RegionFlags(kind, size, -1, -1, result, 0, null)
            : new RegionFlags(kind, size, first, second, result, 0, null);
  }

  private void pushOperandCarry(boolean wide) {
    e.flagEmitter.pushCarryBit(e.flags);
    if (!wide) {
      b.l2i();
    }
  }

  private void add(boolean wide) {
    if (wide) {
      b.ladd();
    } else {
      b.iadd();
    }
  }

  private void subtract(boolean wide) {
    if (wide) {
      b.lsub();
    } else {
      b.isub();
    }
  }

  private void logic(int operation, boolean wide) {
    switch (operation) {
      case Arithmetic.OR -> {
        if (wide) {
          b.lor();
        } else {
          b.ior();
        }
      }
      case Arithmetic.XOR -> {
        if (wide) {
          b.lxor();
        } else {
          b.ixor();
        }
      }
      default -> {
        if (wide) {
          b.land();
        } else {
          b.iand();
        }
      }
    }
  }

  /// Replaces an operand on the stack by the result of INC or DEC.
  void step(boolean up, int size) {
    e.boundFlags();
    boolean wide = size == 8;
    int operand = e.flagLocal();
    e.storeLocal(operand, size);
    int result = e.flagLocal(operand);
    e.push(operand, size);
    if (wide) {
      b.lconst_1();
    } else {
      b.iconst_1();
    }
    if (up) {
      add(wide);
    } else {
      subtract(wide);
    }
    if (wide) {
      b.dup2();
    } else {
      b.dup();
    }
    e.storeLocal(result, size);
    e.flags =
        new RegionFlags(up ? Kind.INC : Kind.DEC, size, operand, -1, result, 0, flagsOfCarry());
  }

  /// The flags in force, as far as CF is concerned.
  private RegionFlags flagsOfCarry() {
    var f = e.flags;
    while (f.kind() == Kind.INC || f.kind() == Kind.DEC) {
      f = FlagEmitter.before(f);
    }
    return f;
  }

  /// Replaces an operand on the stack by the result of a shift or rotate by a constant.
  ///
  /// @param operation one of {@link Shift}'s SHL, SHR, SAR, ROL, ROR
  /// @param count 1 to the operand's size in bits minus 1
  /// @param register whether the operand is a register: then a rotate may keep OF
  void shift(int operation, int size, int count, boolean register) {
    boolean wide = size == 8;
    if (operation == Shift.ROL || operation == Shift.ROR) {
      rotate(operation == Shift.ROL, wide, count, register);
      return;
    }
    int operand = e.flagLocal();
    e.storeLocal(operand, size);
    int result = e.flagLocal(operand);
    if (operation == Shift.SAR && !wide) {
      e.flagEmitter.pushComparable(operand, size);
    } else {
      e.push(operand, size);
    }
    b.loadConstant(count);
    Kind kind = shiftOnce(operation, wide);
    if (wide) {
      b.dup2();
    } else {
      b.dup();
    }
    e.storeLocal(result, size);
    e.flags = new RegionFlags(kind, size, operand, -1, result, count, null);
  }

  /// Replaces an operand and a count (an int) by the result of a shift; 32 and 64 bits.
  void shiftBy(int operation, int size) {
    e.boundFlags();
    boolean wide = size == 8;
    int count = e.flagLocal();
    b.loadConstant(wide ? 63 : 31).iand().istore(count);
    int operand = e.flagLocal(count);
    e.storeLocal(operand, size);
    int result = e.flagLocal(count, operand);
    e.push(operand, size);
    b.iload(count);
    var kind = shiftOnce(operation, wide);
    switch (kind) {
      case SHL -> kind = Kind.SHL_BY;
      case SHR -> kind = Kind.SHR_BY;
      default -> kind = Kind.SAR_BY;
    }
    if (wide) {
      b.dup2();
    } else {
      b.dup();
    }
    e.storeLocal(result, size);
    e.flags = new RegionFlags(kind, size, operand, count, result, 0, e.flags);
  }

  private Kind shiftOnce(int operation, boolean wide) {
    switch (operation) {
      case Shift.SHL -> {
        if (wide) {
          b.lshl();
        } else {
          b.ishl();
        }
        return Kind.SHL;
      }
      case Shift.SHR -> {
        if (wide) {
          b.lushr();
        } else {
          b.iushr();
        }
        return Kind.SHR;
      }
      default -> {
        if (wide) {
          b.lshr();
        } else {
          b.ishr();
        }
        return Kind.SAR;
      }
    }
  }

  /// 32 and 64 bits.
  private void rotate(boolean left, boolean wide, int count, boolean register) {
    e.boundFlags();
    int carry = e.flagLocal();
    int overflow = -1;
    b.loadConstant(count);
    if (wide) {
      e.invokeJava(Long.class, left ? "rotateLeft" : "rotateRight", CD_long, CD_long, CD_int);
      b.dup2();
    } else {
      e.invokeJava(Integer.class, left ? "rotateLeft" : "rotateRight", CD_int, CD_int, CD_int);
      b.dup().i2l();
    }
    // On the stack: the result, and it again as a long (for 32 bits, sign-extended).
    if (count == 1 || !register) {
      overflow = e.flagLocal(carry);
      b.dup2().lstore(overflow);
    }
    if (!left) {
      b.bipush(wide ? 63 : 31).lushr();
    }
    b.lstore(carry);
    if (overflow >= 0) {
      // ROL: CF (bit 0) xor the top bit; ROR: the two top bits. Both also follow for other counts
      // from the operand, but for a count of 1 the result tells as well.
      int top = wide ? 63 : 31;
      if (left) {
        b.lload(overflow).bipush(top).lushr().lload(carry).lxor();
      } else {
        b.lload(overflow).bipush(top).lushr().lload(overflow).bipush(top - 1).lushr().lxor();
      }
      b.lconst_1().land().lstore(overflow);
    }
    e.flags = new RegionFlags(Kind.ROTATE, wide ? 8 : 4, carry, overflow, -1, 0, e.flags);
  }

  /// Pops a long whose bit 0 becomes CF; the other flags stay.
  void setCarry() {
    e.boundFlags();
    int carry = e.flagLocal();
    b.lstore(carry);
    e.flags = new RegionFlags(Kind.CARRY, 8, carry, -1, -1, 0, e.flags);
  }

  /// Flags of a multiplication: pops a long that is not 0 on overflow; below it a copy of the low
  /// half as a long, sign-extended.
  void multiplied() {
    int overflow = e.flagLocal();
    b.lstore(overflow);
    int low = e.flagLocal(overflow);
    b.lstore(low);
    e.flags = new RegionFlags(Kind.MULTIPLY, 8, overflow, -1, low, 0, null);
  }

  /// Flags of a signed 64-bit product: pops the factors; below them a copy of the product.
  void multipliedSigned() {
    int second = e.flagLocal();
    b.lstore(second);
    int first = e.flagLocal(second);
    b.lstore(first);
    int product = e.flagLocal(second, first);
    b.lstore(product);
    e.flags = new RegionFlags(Kind.PRODUCT, 8, first, second, product, 0, null);
  }

  /// Flags of a result alone: pops it, zero-extended or with any bits above the size.
  void logicResult(int size) {
    int result = e.flagLocal();
    e.storeLocal(result, size);
    e.flags = new RegionFlags(Kind.LOGIC, size, -1, -1, result, 0, null);
  }
}
