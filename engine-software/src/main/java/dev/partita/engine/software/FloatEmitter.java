package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_boolean;
import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.constant.ClassDesc;

/// Emits floating-point arithmetic: {@link QuickFloat} for all elements, and where that does not
/// hold for one of them, a call of the operation.
final class FloatEmitter {
  private static final ClassDesc QUICK = OperandEmitter.of(QuickFloat.class);
  private static final ClassDesc SUPPORT = OperandEmitter.of(VectorSupport.class);

  private final OperandEmitter e;
  private final VectorEmitter v;
  private final CodeBuilder b;

  FloatEmitter(OperandEmitter e, VectorEmitter v) {
    this.e = e;
    this.v = v;
    this.b = e.b;
  }

  private static int temporary(int number) {
    return OperandEmitter.TEMPORARY + 2 * number;
  }

  /// Whether there is code for an opcode in map 0F.
  static boolean hasCode(int op) {
    return switch (op) {
      case 0x51, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F -> true;
      default -> false;
    };
  }

  private static String name(int op) {
    return switch (op) {
      case 0x51 -> "squareRoot";
      case 0x58 -> "add";
      case 0x59 -> "multiply";
      case 0x5C -> "subtract";
      case 0x5D -> "minimum";
      case 0x5E -> "divide";
      default -> "maximum";
    };
  }

  // ---- Arithmetic

  /// Goes to a label if the control register wants more than the usual case.
  private void checkControl(int op, Label slow) {
    if (op != 0x5D && op != 0x5F) {
      b.aload(OperandEmitter.C).getfield(OperandEmitter.CPU, "mxcsr", CD_int);
      e.invoke(OperandEmitter.of(SimdFloat.class), "quickInexact", CD_boolean, CD_int);
      b.ifeq(slow);
    }
  }

  /// Packed doubles: the whole instruction. The lowest alone, if there is one element.
  void doubles(int op, int to, int first, int from, int elements) {
    var slow = b.newLabel();
    for (int i = 0; i < elements; i++) {
      v.get(first + i);
      v.get(from + i);
      e.invoke(QUICK, name(op), CD_long, CD_long, CD_long);
      b.lstore(temporary(i));
    }
    checkControl(op, slow);
    for (int i = 0; i < elements; i++) {
      v.get(first + i);
      v.get(from + i);
      b.lload(temporary(i));
      e.invoke(QUICK, check(op), CD_boolean, CD_long, CD_long, CD_long);
      b.ifeq(slow);
    }
    finish(slow, to, elements);
  }

  private static String check(int op) {
    return switch (op) {
      case 0x51 -> "holdsRoot";
      case 0x58, 0x5C -> "holdsSum";
      case 0x5D, 0x5F -> "holdsChoice";
      default -> "holdsProduct";
    };
  }

  /// Packed singles: the whole instruction.
  void singles(int op, int to, int first, int from, int elements) {
    var slow = b.newLabel();
    for (int i = 0; i < elements; i++) {
      v.get(first + i);
      v.get(from + i);
      e.invoke(QUICK, name(op) + "Two", CD_long, CD_long, CD_long);
      b.lstore(temporary(i));
    }
    checkControl(op, slow);
    for (int i = 0; i < elements; i++) {
      for (int shift = 0; shift < 64; shift += 32) {
        v.get(first + i);
        half(shift);
        v.get(from + i);
        half(shift);
        b.lload(temporary(i));
        half(shift);
        e.invoke(QUICK, check(op), CD_boolean, CD_int, CD_int, CD_int);
        b.ifeq(slow);
      }
    }
    finish(slow, to, elements);
  }

  private void half(int shift) {
    if (shift != 0) {
      b.bipush(shift).lushr();
    }
    b.l2i();
  }

  /// A scalar single: the lower half of an element; the upper is the first operand's.
  void single(int op, int to, int first, int from) {
    var slow = b.newLabel();
    v.get(first);
    b.l2i();
    v.get(from);
    b.l2i();
    e.invoke(QUICK, name(op), CD_int, CD_int, CD_int);
    b.istore(temporary(1));
    checkControl(op, slow);
    v.get(first);
    b.l2i();
    v.get(from);
    b.l2i();
    b.iload(temporary(1));
    e.invoke(QUICK, check(op), CD_boolean, CD_int, CD_int, CD_int);
    b.ifeq(slow);
    b.iload(temporary(1));
    mergeSingle(first);
    b.lstore(temporary(0));
    finish(slow, to, 1);
  }

  /// Replaces an int by the element with it as the lower half.
  private void mergeSingle(int first) {
    e.extend();
    v.get(first);
    b.loadConstant(0xFFFF_FFFF_0000_0000L).land().lor();
  }

  /// Puts the results, or lets the operation work them out.
  private void finish(Label slow, int to, int elements) {
    for (int i = 0; i < elements; i++) {
      b.lload(temporary(i));
      v.put(to + i);
    }
    var done = b.newBoundLabel();
    e.callAside(slow, () -> v.reload(to, elements), done);
  }

  // ---- Comparison

  /// COMISS, COMISD, UCOMISS, UCOMISD.
  void compare(boolean doubles, boolean signalling, int first, int from) {
    var slow = b.newLabel();
    var done = b.newLabel();
    int order = e.flagLocal();
    var type = doubles ? CD_long : CD_int;
    operands(doubles, first, from);
    e.invoke(QUICK, "comparable", CD_boolean, type, type);
    b.ifeq(slow);
    operands(doubles, first, from);
    e.invoke(QUICK, "order", CD_int, type, type);
    b.istore(order);
    b.labelBinding(done);
    e.stub(
        slow,
        () -> {
          b.aload(OperandEmitter.C);
          v.getAside(first);
          v.getAside(from);
          b.loadConstant(doubles ? 1 : 0).loadConstant(signalling ? 1 : 0);
          e.invoke(
              SUPPORT,
              "compare",
              CD_int,
              OperandEmitter.CPU,
              CD_long,
              CD_long,
              CD_boolean,
              CD_boolean);
          b.istore(order);
          e.checkThrown(e.exit);
          b.goto_(done);
        });
    e.flags = new RegionFlags(RegionFlags.Kind.ORDER, 4, -1, -1, order, 0, null);
  }

  private void operands(boolean doubles, int first, int from) {
    v.get(first);
    if (!doubles) {
      b.l2i();
    }
    v.get(from);
    if (!doubles) {
      b.l2i();
    }
  }

  // ---- Conversion

  /// CVTSI2SD and CVTSI2SS: from the long on the stack.
  void fromInteger(boolean doubles, int to, int first) {
    var slow = b.newLabel();
    v.fetch(first);
    b.lstore(temporary(1));
    b.lload(temporary(1));
    e.invoke(QUICK, doubles ? "exactDouble" : "exactSingle", CD_boolean, CD_long);
    b.ifeq(slow);
    b.lload(temporary(1));
    e.invoke(QUICK, doubles ? "toDouble" : "toSingle", CD_long, CD_long);
    if (!doubles) {
      v.get(first);
      b.loadConstant(0xFFFF_FFFF_0000_0000L).land().lor();
    }
    b.lstore(temporary(0));
    finish(slow, to, 1);
  }

  /// CVTTSD2SI and CVTTSS2SI: pushes the integer as a long.
  void truncate(boolean doubles, int from, int width) {
    var slow = b.newLabel();
    var done = b.newLabel();
    b.aload(OperandEmitter.C).getfield(OperandEmitter.CPU, "mxcsr", CD_int);
    v.get(from);
    e.invoke(QUICK, doubles ? "truncatesDouble" : "truncatesSingle", CD_boolean, CD_int, CD_long);
    b.ifeq(slow);
    v.get(from);
    e.invoke(QUICK, doubles ? "truncateDouble" : "truncateSingle", CD_long, CD_long);
    b.labelBinding(done);
    e.stub(
        slow,
        () -> {
          b.aload(OperandEmitter.C);
          v.getAside(from);
          b.loadConstant(doubles ? 1 : 0).loadConstant(width);
          e.invoke(SUPPORT, "truncate", CD_long, OperandEmitter.CPU, CD_long, CD_boolean, CD_int);
          b.lstore(temporary(0));
          e.checkThrown(e.exit);
          b.lload(temporary(0)).goto_(done);
        });
  }

  /// CVTSS2SD.
  void widen(int to, int from) {
    var slow = b.newLabel();
    v.get(from);
    b.l2i();
    e.invoke(QUICK, "usual", CD_boolean, CD_int);
    b.ifeq(slow);
    v.get(from);
    e.invoke(QUICK, "widen", CD_long, CD_long);
    b.lstore(temporary(0));
    finish(slow, to, 1);
  }

  /// CVTSD2SS.
  void narrow(int to, int first, int from) {
    var slow = b.newLabel();
    v.get(from);
    e.invoke(QUICK, "narrow", CD_int, CD_long);
    b.istore(temporary(1));
    v.fetch(first);
    checkControl(0x58, slow);
    v.get(from);
    b.iload(temporary(1));
    e.invoke(QUICK, "holdsNarrow", CD_boolean, CD_long, CD_int);
    b.ifeq(slow);
    b.iload(temporary(1));
    mergeSingle(first);
    b.lstore(temporary(0));
    finish(slow, to, 1);
  }
}
