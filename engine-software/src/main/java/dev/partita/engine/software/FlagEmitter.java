package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_boolean;
import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;

import dev.partita.engine.software.RegionFlags.Kind;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;

/// Emits arithmetic with {@link RegionFlags}, and what reads them.
final class FlagEmitter {
  private final RegionEmitter e;
  private final CodeBuilder b;

  FlagEmitter(RegionEmitter e) {
    this.e = e;
    this.b = e.b;
  }

  // ---- Making the two longs
  // -------------------------------------------------------------------------

  /// Stores the two longs of {@link Cpu} in their locals.
  void store(RegionFlags f) {
    pushResult(f);
    pushCarry(f);
    b.lstore(RegionEmitter.FLAG_CARRY).lstore(RegionEmitter.FLAG_RESULT);
  }

  private static RegionFlags before(RegionFlags f) {
    var before = f.before();
    if (before == null) {
      throw new IllegalStateException("flags that follow from nothing");
    }
    return before;
  }

  private void pushResult(RegionFlags f) {
    switch (f.kind()) {
      case STORED -> b.lload(RegionEmitter.FLAG_RESULT);
      case ROTATE, CARRY -> pushResult(before(f));
      case MULTIPLY -> {
        b.lload(f.r());
        e.invoke(RegionEmitter.SUPPORT, "productFlag", CD_long, CD_long);
      }
      case PRODUCT -> {
        b.lload(f.r());
        e.invoke(RegionEmitter.SUPPORT, "productFlag", CD_long, CD_long);
      }
      case SHL_BY, SHR_BY, SAR_BY -> {
        b.iload(f.b());
        pushSigned(f.r(), f.size());
        pushResult(before(f));
        e.invoke(RegionEmitter.CARRY, "choose", CD_long, CD_int, CD_long, CD_long);
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

  private void push(int local, int size) {
    if (size == 8) {
      b.lload(local);
    } else {
      b.iload(local);
    }
  }

  private void pushCarry(RegionFlags f) {
    switch (f.kind()) {
      case STORED -> b.lload(RegionEmitter.FLAG_CARRY);
      case ADD, ADC -> pushSum(f, "add");
      case SUB, SBB -> pushSum(f, "sub");
      case LOGIC -> b.lconst_0();
      case INC, DEC -> {
        pushCarry(before(f));
        pushSigned(f.a(), f.size());
        pushSigned(f.r(), f.size());
        b.loadConstant(f.shift());
        var name = f.kind() == Kind.INC ? "increment" : "decrement";
        e.invoke(RegionEmitter.CARRY, name, CD_long, CD_long, CD_long, CD_long, CD_int);
      }
      case SHL -> {
        pushUnsigned(f.a(), f.size());
        if (f.size() != 8) {
          b.loadConstant(f.shift()).lshl();
        }
        b.loadConstant(f.count());
        e.invoke(RegionEmitter.CARRY, "shiftLeft", CD_long, CD_long, CD_int);
      }
      case SHR -> {
        pushUnsigned(f.a(), f.size());
        b.loadConstant(f.count()).loadConstant(8 * f.size());
        e.invoke(RegionEmitter.CARRY, "shiftRight", CD_long, CD_long, CD_int, CD_int);
      }
      case SAR -> {
        pushSigned(f.a(), f.size());
        b.loadConstant(f.count());
        e.invoke(RegionEmitter.CARRY, "shiftArithmetic", CD_long, CD_long, CD_int);
      }
      case ROTATE -> {
        pushCarry(before(f));
        b.lload(f.a());
        if (f.b() >= 0) {
          b.lload(f.b());
        } else {
          b.loadConstant(-1L);
        }
        e.invoke(RegionEmitter.CARRY, "rotate", CD_long, CD_long, CD_long, CD_long);
      }
      case CARRY -> {
        pushCarry(before(f));
        b.lload(f.a());
        e.invoke(RegionEmitter.CARRY, "withCarry", CD_long, CD_long, CD_long);
      }
      case MULTIPLY -> {
        b.lload(f.a());
        e.invoke(RegionEmitter.SUPPORT, "overflow", CD_long, CD_long);
      }
      case PRODUCT -> {
        b.lload(f.a()).lload(f.b()).lload(f.r());
        e.invoke(RegionEmitter.SUPPORT, "productOverflow", CD_long, CD_long, CD_long, CD_long);
      }
      case SHL_BY, SHR_BY, SAR_BY -> {
        b.iload(f.b());
        pushShiftedCarry(f);
        pushCarry(before(f));
        e.invoke(RegionEmitter.CARRY, "choose", CD_long, CD_int, CD_long, CD_long);
      }
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
        e.invoke(RegionEmitter.CARRY, "shiftLeft", CD_long, CD_long, CD_int);
      }
      case SHR_BY -> {
        pushUnsigned(f.a(), f.size());
        b.iload(f.b()).loadConstant(8 * f.size());
        e.invoke(RegionEmitter.CARRY, "shiftRight", CD_long, CD_long, CD_int, CD_int);
      }
      default -> {
        pushSigned(f.a(), f.size());
        b.iload(f.b());
        e.invoke(RegionEmitter.CARRY, "shiftArithmetic", CD_long, CD_long, CD_int);
      }
    }
  }

  private void pushSum(RegionFlags f, String name) {
    push(f.a(), f.size());
    push(f.b(), f.size());
    push(f.r(), f.size());
    switch (f.size()) {
      case 8 -> e.invoke(RegionEmitter.CARRY, name + "64", CD_long, CD_long, CD_long, CD_long);
      case 4 -> e.invoke(RegionEmitter.CARRY, name + "32", CD_long, CD_int, CD_int, CD_int);
      default -> {
        b.loadConstant(f.shift());
        e.invoke(RegionEmitter.CARRY, name + "Small", CD_long, CD_int, CD_int, CD_int, CD_int);
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
          case 6 -> less(f, negated, label);
          case 7 -> lessOrEqual(f, negated, label);
          default -> false;
        };
    if (!done) {
      pushResult(f);
      pushCarry(f);
      b.loadConstant(condition);
      e.invoke(RegionEmitter.SUPPORT, "holds", CD_boolean, CD_long, CD_long, CD_int);
      b.ifne(label);
    }
  }

  private boolean zero(RegionFlags f, boolean negated, Label label) {
    switch (f.kind()) {
      case SUB -> {
        push(f.a(), f.size());
        push(f.b(), f.size());
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
      case MULTIPLY, PRODUCT, STORED, SHL_BY, SHR_BY, SAR_BY -> {
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
      case ROTATE, CARRY, STORED, SHL_BY, SHR_BY, SAR_BY -> {
        return false;
      }
      case MULTIPLY, PRODUCT -> {
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
    push(x, size);
    bias(size);
    push(y, size);
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
      case LOGIC -> {
        if (negated) {
          b.goto_(label);
          // What follows is not reached from here, but the verifier wants a jump that may not be
          // taken.
        }
        return true;
      }
      case ADD, ADC, SBB, STORED, SHL, SHR, SAR -> {
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
      default -> {
        return false;
      }
    }
  }

  private void pushSignedPair(RegionFlags f) {
    pushComparable(f.a(), f.size());
    pushComparable(f.b(), f.size());
  }

  private void pushComparable(int local, int size) {
    push(local, size);
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
        return false;
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

  // ---- Arithmetic
  // -----------------------------------------------------------------------------------

  private void storeLocal(int local, int size) {
    if (size == 8) {
      b.lstore(local);
    } else {
      b.istore(local);
    }
  }

  /// Replaces two operands on the stack by the result, or by nothing for CMP and TEST; sets flags.
  void binary(int operation, int size) {
    int second = e.flagLocal();
    storeLocal(second, size);
    int first = e.flagLocal(second);
    storeLocal(first, size);
    int result = e.flagLocal(second, first);
    var kind =
        switch (operation) {
          case Arithmetic.ADD -> Kind.ADD;
          case Arithmetic.ADC -> Kind.ADC;
          case Arithmetic.SUB, Arithmetic.CMP -> Kind.SUB;
          case Arithmetic.SBB -> Kind.SBB;
          default -> Kind.LOGIC;
        };
    push(first, size);
    push(second, size);
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
    storeLocal(result, size);
    e.flags =
        kind == Kind.LOGIC
            ? new RegionFlags(kind, size, -1, -1, result, 0, null)
            : new RegionFlags(kind, size, first, second, result, 0, null);
  }

  private void pushOperandCarry(boolean wide) {
    pushCarryBit(e.flags);
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
    storeLocal(operand, size);
    int result = e.flagLocal(operand);
    push(operand, size);
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
    storeLocal(result, size);
    e.flags =
        new RegionFlags(up ? Kind.INC : Kind.DEC, size, operand, -1, result, 0, flagsOfCarry());
  }

  /// The flags in force, as far as CF is concerned.
  private RegionFlags flagsOfCarry() {
    var f = e.flags;
    while (f.kind() == Kind.INC || f.kind() == Kind.DEC) {
      f = before(f);
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
    storeLocal(operand, size);
    int result = e.flagLocal(operand);
    if (operation == Shift.SAR && !wide) {
      pushComparable(operand, size);
    } else {
      push(operand, size);
    }
    b.loadConstant(count);
    Kind kind = shiftOnce(operation, wide);
    if (wide) {
      b.dup2();
    } else {
      b.dup();
    }
    storeLocal(result, size);
    e.flags = new RegionFlags(kind, size, operand, -1, result, count, null);
  }

  /// Replaces an operand and a count (an int) by the result of a shift; 32 and 64 bits.
  void shiftBy(int operation, int size) {
    e.boundFlags();
    boolean wide = size == 8;
    int count = e.flagLocal();
    b.loadConstant(wide ? 63 : 31).iand().istore(count);
    int operand = e.flagLocal(count);
    storeLocal(operand, size);
    int result = e.flagLocal(count, operand);
    push(operand, size);
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
    storeLocal(result, size);
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
    storeLocal(result, size);
    e.flags = new RegionFlags(Kind.LOGIC, size, -1, -1, result, 0, null);
  }
}
