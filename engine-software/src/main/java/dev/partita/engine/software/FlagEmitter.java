package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_boolean;
import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;

import dev.partita.engine.software.RegionFlags.Kind;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;

/// Emits arithmetic with {@link RegionFlags}, and what reads them.
final class FlagEmitter {
  private final OperandEmitter e;
  private final CodeBuilder b;

  FlagEmitter(OperandEmitter e) {
    this.e = e;
    this.b = e.b;
  }

  // ---- Making the two longs
  // -------------------------------------------------------------------------

  /// Stores the two longs of {@link Cpu} in their locals.
  void store(RegionFlags f) {
    pushResult(f);
    pushCarry(f);
    b.lstore(OperandEmitter.FLAG_CARRY).lstore(OperandEmitter.FLAG_RESULT);
  }

  static RegionFlags before(RegionFlags f) {
    var before = f.before();
    if (before == null) {
      throw new IllegalStateException("flags that follow from nothing");
    }
    return before;
  }

  private void pushResult(RegionFlags f) {
    switch (f.kind()) {
      case STORED -> b.lload(OperandEmitter.FLAG_RESULT);
      case JOINED -> {
        e.joins().read(f);
        b.lload(OperandEmitter.FLAG_RESULT);
      }
      case ROTATE, CARRY -> pushResult(before(f));
      case MULTIPLY -> {
        b.lload(f.r());
        e.invoke(OperandEmitter.SUPPORT, "productFlag", CD_long, CD_long);
      }
      case PRODUCT -> {
        b.lload(f.r());
        e.invoke(OperandEmitter.SUPPORT, "productFlag", CD_long, CD_long);
      }
      case BITS -> b.lload(f.r());
      case ORDER -> b.iload(f.r()).iconst_1().iand().i2l().bipush(8).lshl();
      case SHL_BY, SHR_BY, SAR_BY -> {
        b.iload(f.b());
        pushSigned(f.r(), f.size());
        pushResult(before(f));
        e.invoke(OperandEmitter.CARRY, "choose", CD_long, CD_int, CD_long, CD_long);
      }
      default -> pushSigned(f.r(), f.size());
    }
  }

  /// Pushes an operand as a long, sign-extended.
  private void pushSigned(int local, int size) {
    switch (size) {
      case 8 -> b.lload(local);
      case 4 -> b.iload(local).i2l();
      case 2 -> b.iload(local).i2s().i2l();
      default -> b.iload(local).i2b().i2l();
    }
  }

  /// Pushes an operand as a long, zero-extended.
  private void pushUnsigned(int local, int size) {
    if (size == 8) {
      b.lload(local);
    } else {
      b.iload(local).i2l();
      if (size == 4) {
        b.loadConstant(0xFFFF_FFFFL).land();
      }
    }
  }

  private void pushCarry(RegionFlags f) {
    switch (f.kind()) {
      case STORED -> b.lload(OperandEmitter.FLAG_CARRY);
      case JOINED -> {
        e.joins().read(f);
        b.lload(OperandEmitter.FLAG_CARRY);
      }
      case ADD, ADC -> pushSum(f, "add");
      case SUB, SBB -> pushSum(f, "sub");
      case LOGIC -> b.lconst_0();
      case INC, DEC -> {
        pushCarry(before(f));
        pushSigned(f.a(), f.size());
        pushSigned(f.r(), f.size());
        b.loadConstant(f.shift());
        var name = f.kind() == Kind.INC ? "increment" : "decrement";
        e.invoke(OperandEmitter.CARRY, name, CD_long, CD_long, CD_long, CD_long, CD_int);
      }
      case SHL -> {
        pushUnsigned(f.a(), f.size());
        if (f.size() != 8) {
          b.loadConstant(f.shift()).lshl();
        }
        b.loadConstant(f.count());
        e.invoke(OperandEmitter.CARRY, "shiftLeft", CD_long, CD_long, CD_int);
      }
      case SHR -> {
        pushUnsigned(f.a(), f.size());
        b.loadConstant(f.count()).loadConstant(8 * f.size());
        e.invoke(OperandEmitter.CARRY, "shiftRight", CD_long, CD_long, CD_int, CD_int);
      }
      case SAR -> {
        pushSigned(f.a(), f.size());
        b.loadConstant(f.count());
        e.invoke(OperandEmitter.CARRY, "shiftArithmetic", CD_long, CD_long, CD_int);
      }
      case ROTATE -> {
        pushCarry(before(f));
        b.lload(f.a());
        if (f.b() >= 0) {
          b.lload(f.b());
        } else {
          b.loadConstant(-1L);
        }
        e.invoke(OperandEmitter.CARRY, "rotate", CD_long, CD_long, CD_long, CD_long);
      }
      case CARRY -> {
        pushCarry(before(f));
        b.lload(f.a());
        e.invoke(OperandEmitter.CARRY, "withCarry", CD_long, CD_long, CD_long);
      }
      case MULTIPLY -> {
        b.lload(f.a());
        e.invoke(OperandEmitter.SUPPORT, "overflow", CD_long, CD_long);
      }
      case PRODUCT -> {
        b.lload(f.a()).lload(f.b()).lload(f.r());
        e.invoke(OperandEmitter.SUPPORT, "productOverflow", CD_long, CD_long, CD_long, CD_long);
      }
      case BITS -> {
        b.lload(f.r());
        pushBitsCarry(f);
        e.invoke(OperandEmitter.CARRY, "bits", CD_long, CD_long, CD_long);
      }
      case ORDER -> {
        b.iload(f.r());
        e.invoke(OperandEmitter.of(VectorSupport.class), "orderCarry", CD_long, CD_int);
      }
      case SHL_BY, SHR_BY, SAR_BY -> {
        b.iload(f.b());
        pushShiftedCarry(f);
        pushCarry(before(f));
        e.invoke(OperandEmitter.CARRY, "choose", CD_long, CD_int, CD_long, CD_long);
      }
    }
  }

  /// Pushes a long that is not 0 if CF is set.
  private void pushBitsCarry(RegionFlags f) {
    if (f.a() < 0) {
      b.lconst_0();
    } else {
      b.lload(f.a());
    }
  }

  /// Pushes OF as a long in bit 0.
  void pushOverflowBit(RegionFlags f) {
    if (f.kind() == Kind.LOGIC) {
      b.lconst_0();
    } else if (f.kind() == Kind.ROTATE && f.b() >= 0) {
      b.lload(f.b());
    } else {
      pushCarry(f);
      b.dup2().iconst_1().lshl().lxor().bipush(63).lushr();
    }
  }

  /// The carries of a shift by a count in a local that is not 0.
  private void pushShiftedCarry(RegionFlags f) {
    switch (f.kind()) {
      case SHL_BY -> {
        pushUnsigned(f.a(), f.size());
        if (f.size() != 8) {
          b.loadConstant(f.shift()).lshl();
        }
        b.iload(f.b());
        e.invoke(OperandEmitter.CARRY, "shiftLeft", CD_long, CD_long, CD_int);
      }
      case SHR_BY -> {
        pushUnsigned(f.a(), f.size());
        b.iload(f.b()).loadConstant(8 * f.size());
        e.invoke(OperandEmitter.CARRY, "shiftRight", CD_long, CD_long, CD_int, CD_int);
      }
      default -> {
        pushSigned(f.a(), f.size());
        b.iload(f.b());
        e.invoke(OperandEmitter.CARRY, "shiftArithmetic", CD_long, CD_long, CD_int);
      }
    }
  }

  private void pushSum(RegionFlags f, String name) {
    e.push(f.a(), f.size());
    e.push(f.b(), f.size());
    e.push(f.r(), f.size());
    switch (f.size()) {
      case 8 -> e.invoke(OperandEmitter.CARRY, name + "64", CD_long, CD_long, CD_long, CD_long);
      case 4 -> e.invoke(OperandEmitter.CARRY, name + "32", CD_long, CD_int, CD_int, CD_int);
      default -> {
        b.loadConstant(f.shift());
        e.invoke(OperandEmitter.CARRY, name + "Small", CD_long, CD_int, CD_int, CD_int, CD_int);
      }
    }
  }

  // ---- Reading
  // --------------------------------------------------------------------------------------

  /// Pushes CF as a long, 0 or 1; no branch.
  void pushCarryBit(RegionFlags f) {
    switch (f.kind()) {
      case LOGIC -> b.lconst_0();
      case INC, DEC -> pushCarryBit(before(f));
      case CARRY -> b.lload(f.a()).lconst_1().land();
      case ROTATE -> b.lload(f.a()).lconst_1().land();
      case ORDER -> b.iload(f.r()).iconst_1().iushr().iconst_1().iand().i2l();
      default -> {
        pushCarry(f);
        b.bipush(63).lushr();
      }
    }
  }

  /// Jumps to a label if a condition holds; else goes on behind.
  ///
  /// @param condition the opcode's low four bits
  void branch(RegionFlags f, int condition, Label label) {
    boolean negated = (condition & 1) != 0;
    boolean done =
        switch (condition >> 1) {
          case 1 -> below(f, negated, label);
          case 2 -> zero(f, negated, label);
          case 3 -> belowOrEqual(f, negated, label);
          case 4 -> sign(f, negated, label);
          case 5 -> parity(f, negated, label);
          case 6 -> less(f, negated, label);
          case 7 -> lessOrEqual(f, negated, label);
          default -> false;
        };
    if (!done) {
      pushResult(f);
      pushCarry(f);
      b.loadConstant(condition);
      e.invoke(OperandEmitter.SUPPORT, "holds", CD_boolean, CD_long, CD_long, CD_int);
      b.ifne(label);
    }
  }

  private boolean zero(RegionFlags f, boolean negated, Label label) {
    switch (f.kind()) {
      case SUB -> {
        e.push(f.a(), f.size());
        e.push(f.b(), f.size());
        if (f.wide()) {
          b.lcmp();
          ifZero(negated, label);
        } else if (negated) {
          b.if_icmpne(label);
        } else {
          b.if_icmpeq(label);
        }
      }
      case ROTATE, CARRY -> {
        return zero(before(f), negated, label);
      }
      case BITS -> {
        b.lload(f.r()).lconst_0().lcmp();
        ifZero(negated, label);
      }
      case ORDER -> {
        b.iload(f.r()).iconst_1().iand();
        ifZero(negated, label);
      }
      case MULTIPLY, PRODUCT, STORED, JOINED, SHL_BY, SHR_BY, SAR_BY -> {
        pushResult(f);
        b.lconst_0().lcmp();
        ifZero(negated, label);
      }
      default -> {
        pushTestable(f);
        ifZero(negated, label);
      }
    }
    return true;
  }

  /// Pushes an int that is 0, negative or positive as the result is.
  private void pushTestable(RegionFlags f) {
    switch (f.size()) {
      case 8 -> b.lload(f.r()).lconst_0().lcmp();
      case 4 -> b.iload(f.r());
      case 2 -> b.iload(f.r()).i2s();
      default -> b.iload(f.r()).i2b();
    }
  }

  private void ifZero(boolean negated, Label label) {
    if (negated) {
      b.ifne(label);
    } else {
      b.ifeq(label);
    }
  }

  private void ifNegative(boolean negated, Label label) {
    if (negated) {
      b.ifge(label);
    } else {
      b.iflt(label);
    }
  }

  private void ifNotPositive(boolean negated, Label label) {
    if (negated) {
      b.ifgt(label);
    } else {
      b.ifle(label);
    }
  }

  private boolean sign(RegionFlags f, boolean negated, Label label) {
    switch (f.kind()) {
      case ROTATE, CARRY, STORED, JOINED, SHL_BY, SHR_BY, SAR_BY, ORDER -> {
        return false;
      }
      case MULTIPLY, PRODUCT, BITS -> {
        pushResult(f);
        b.lconst_0().lcmp();
      }
      default -> pushTestable(f);
    }
    ifNegative(negated, label);
    return true;
  }

  /// Pushes the operands of a comparison so that a signed comparison of them is an unsigned one of
  /// the operands.
  private void pushUnsignedPair(int x, int y, int size) {
    e.push(x, size);
    bias(size);
    e.push(y, size);
    bias(size);
  }

  private void bias(int size) {
    if (size == 8) {
      b.loadConstant(Long.MIN_VALUE).ladd();
    } else if (size == 4) {
      b.loadConstant(Integer.MIN_VALUE).iadd();
    }
  }

  private boolean below(RegionFlags f, boolean negated, Label label) {
    if (f.kind() == Kind.SUB || (f.kind() == Kind.ADD && f.size() >= 4)) {
      // A sum is below its operands when it overflowed.
      if (f.kind() == Kind.SUB) {
        pushUnsignedPair(f.a(), f.b(), f.size());
      } else {
        pushUnsignedPair(f.r(), f.a(), f.size());
      }
      if (f.wide()) {
        b.lcmp();
        ifNegative(negated, label);
      } else if (negated) {
        b.if_icmpge(label);
      } else {
        b.if_icmplt(label);
      }
      return true;
    }
    switch (f.kind()) {
      case INC, DEC -> {
        return below(before(f), negated, label);
      }
      case BITS -> {
        pushBitsCarry(f);
        b.lconst_0().lcmp();
        ifZero(!negated, label);
      }
      case LOGIC -> {
        if (negated) {
          b.goto_(label);
          // What follows is not reached from here, but the verifier wants a jump that may not be
          // taken.
        }
        return true;
      }
      case ADD, ADC, SBB, STORED, JOINED, SHL, SHR, SAR -> {
        pushCarry(f);
        b.lconst_0().lcmp();
        ifNegative(negated, label);
      }
      default -> {
        pushCarryBit(f);
        b.l2i();
        ifZero(!negated, label);
      }
    }
    return true;
  }

  private boolean belowOrEqual(RegionFlags f, boolean negated, Label label) {
    switch (f.kind()) {
      case SUB -> {
        pushUnsignedPair(f.a(), f.b(), f.size());
        if (f.wide()) {
          b.lcmp();
          ifNotPositive(negated, label);
        } else if (negated) {
          b.if_icmpgt(label);
        } else {
          b.if_icmple(label);
        }
        return true;
      }
      case LOGIC -> {
        return zero(f, negated, label);
      }
      case ORDER -> {
        b.iload(f.r()).iconst_1();
        if (negated) {
          b.if_icmpeq(label);
        } else {
          b.if_icmpne(label);
        }
        return true;
      }
      default -> {
        var not = b.newLabel();
        pushCarry(f);
        b.lconst_0().lcmp().iflt(negated ? not : label);
        pushResult(f);
        b.lconst_0().lcmp();
        ifZero(negated, label);
        b.labelBinding(not);
        return true;
      }
    }
  }

  private boolean parity(RegionFlags f, boolean negated, Label label) {
    if (f.kind() != Kind.ORDER) {
      return false;
    }
    b.iload(f.r()).iconst_2();
    if (negated) {
      b.if_icmpne(label);
    } else {
      b.if_icmpeq(label);
    }
    return true;
  }

  private void pushSignedPair(RegionFlags f) {
    pushComparable(f.a(), f.size());
    pushComparable(f.b(), f.size());
  }

  /// Pushes an operand as a comparison with signs takes it.
  void pushComparable(int local, int size) {
    e.push(local, size);
    if (size == 2) {
      b.i2s();
    } else if (size == 1) {
      b.i2b();
    }
  }

  private boolean less(RegionFlags f, boolean negated, Label label) {
    switch (f.kind()) {
      case SUB -> {
        pushSignedPair(f);
        if (f.wide()) {
          b.lcmp();
          ifNegative(negated, label);
        } else if (negated) {
          b.if_icmpge(label);
        } else {
          b.if_icmplt(label);
        }
      }
      case LOGIC -> {
        pushTestable(f);
        ifNegative(negated, label);
      }
      default -> {
        pushResult(f);
        pushCarry(f);
        e.invoke(OperandEmitter.SUPPORT, "less", CD_boolean, CD_long, CD_long);
        ifZero(!negated, label);
      }
    }
    return true;
  }

  private boolean lessOrEqual(RegionFlags f, boolean negated, Label label) {
    switch (f.kind()) {
      case SUB -> {
        pushSignedPair(f);
        if (f.wide()) {
          b.lcmp();
          ifNotPositive(negated, label);
        } else if (negated) {
          b.if_icmpgt(label);
        } else {
          b.if_icmple(label);
        }
      }
      case LOGIC -> {
        pushTestable(f);
        ifNotPositive(negated, label);
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  /// Pushes a condition as an int, 0 or 1.
  void pushCondition(int condition) {
    var f = e.flags;
    if (condition >> 1 == 1) {
      pushCarryBit(f);
      b.l2i();
      if ((condition & 1) != 0) {
        b.iconst_1().ixor();
      }
      return;
    }
    var yes = b.newLabel();
    var end = b.newLabel();
    branch(f, condition, yes);
    b.iconst_0().goto_(end);
    b.labelBinding(yes);
    b.iconst_1();
    b.labelBinding(end);
  }
}
